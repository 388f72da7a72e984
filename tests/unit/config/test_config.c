#include "tests/unit/config/config_fixture.h"

static void test_defaults(void **state) {
    struct fixture *f = *state;
    assert_int_equal(fixture_load(f, COMMAND_SERVE, NO_WORDS, NO_WORDS), STATUS_OK);
    assert_int_equal(f->config.port, 8080);
    assert_string_equal(f->config.host, "127.0.0.1");
    assert_null(f->config.model);
    assert_int_equal(f->config.stop.count, 0);
    assert_false(config_is_set(&f->config, OPTION_port));
}

static void test_default_file_environment_flag(void **state) {
    struct fixture *f = *state;
    const char *file = fixture_file(f, "a.json", "{\"port\": 1, \"threads\": 2, \"host\": \"file\"}");
    const char *const *variables = WORDS("PRENORM_PORT=10", "PRENORM_THREADS=20", NULL);
    assert_int_equal(
        fixture_load(f, COMMAND_SERVE, WORDS("--config", file, "--port", "100", NULL), variables), STATUS_OK);
    assert_int_equal(f->config.port, 100);
    assert_int_equal(f->config.source[OPTION_port], SOURCE_FLAG);
    assert_int_equal(f->config.threads, 20);
    assert_int_equal(f->config.source[OPTION_threads], SOURCE_ENVIRONMENT);
    assert_string_equal(f->config.host, "file");
    assert_int_equal(f->config.source[OPTION_host], SOURCE_FILE);
    assert_int_equal(f->config.source[OPTION_model], SOURCE_DEFAULT);
}

static void test_a_flag_wins_wherever_the_file_is_named(void **state) {
    struct fixture *f = *state;
    const char *file = fixture_file(f, "a.json", "{\"port\": 1}");
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--port=2", "--config", file, NULL), NO_WORDS),
                     STATUS_OK);
    assert_int_equal(f->config.port, 2);
}

static void test_the_file_of_the_environment_and_that_of_the_flag(void **state) {
    struct fixture *f = *state;
    char variable[1300];
    snprintf(variable, sizeof variable, "PRENORM_CONFIG=%s", fixture_file(f, "a.json", "{\"port\": 1}"));
    assert_int_equal(fixture_load(f, COMMAND_SERVE, NO_WORDS, WORDS(variable, NULL)), STATUS_OK);
    assert_int_equal(f->config.port, 1);
    const char *other = fixture_file(f, "b.json", "{\"port\": 2}");
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--config", other, NULL), WORDS(variable, NULL)),
                     STATUS_OK);
    assert_int_equal(f->config.port, 2);
}

static void test_rules_between_options(void **state) {
    struct fixture *f = *state;
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--tls-cert", "c.pem", NULL), NO_WORDS),
                     STATUS_OPTION);
    assert_string_equal(f->message, "--tls-cert c.pem: needs tls-key too");
    assert_int_equal(fixture_load(f, COMMAND_SERVE, NO_WORDS, WORDS("PRENORM_TLS_KEY=k.pem", NULL)),
                     STATUS_OPTION);
    assert_string_equal(f->message, "--tls-key k.pem (set by PRENORM_TLS_KEY): needs tls-cert too");
    assert_int_equal(
        fixture_load(f, COMMAND_SERVE, WORDS("--tls-cert", "c", "--tls-key", "k", NULL), NO_WORDS),
        STATUS_OK);
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--kv-page-tokens", "24", NULL), NO_WORDS),
                     STATUS_OPTION);
    assert_string_equal(f->message, "--kv-page-tokens 24: expected a multiple of 16");
    assert_int_equal(fixture_load(f, COMMAND_GENERATE, WORDS("--matmul", "openblas", NULL),
                                  WORDS("PRENORM_WEIGHTS=int4", NULL)),
                     STATUS_OPTION);
    assert_string_equal(
        f->message, "--weights int4 (set by PRENORM_WEIGHTS): needs --matmul own: openblas has f32 alone");
    /* Only for commands that have these options. */
    assert_int_equal(fixture_load(f, COMMAND_VERIFY, WORDS("--weights", "int4", NULL),
                                  WORDS("PRENORM_MATMUL=openblas", NULL)),
                     STATUS_OK);
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--norm-form", "none", NULL), NO_WORDS),
                     STATUS_OPTION);
    assert_int_equal(fixture_load(f, COMMAND_BENCH, WORDS("--norm-form", "none", NULL), NO_WORDS), STATUS_OK);
    assert_int_equal(f->config.norm_form, NORM_FORM_NONE);
}

/* What the engine says of an option, by its key alone. */
static void test_who_set_an_option(void **state) {
    struct fixture *f = *state;
    struct error e;
    assert_int_equal(
        fixture_load(f, COMMAND_SERVE, WORDS("--context", "99", NULL), WORDS("PRENORM_ISA=avx2", NULL)),
        STATUS_OK);
    error_set(&e, STATUS_OPTION, "context", "is too much");
    assert_true(config_explain(&f->config, &e));
    assert_string_equal(e.where, "--context 99");
    assert_string_equal(e.text, "is too much");
    error_set(&e, STATUS_OPTION, "isa", "is not there");
    assert_true(config_explain(&f->config, &e));
    assert_string_equal(e.where, "--isa avx2 (set by PRENORM_ISA)");
    error_set(&e, STATUS_OPTION, "verify-tokens", "are too many");
    assert_false(config_explain(&f->config, &e));
    assert_string_equal(e.where, "--verify-tokens 1024 (the default)");
    error_set(&e, STATUS_LIMIT, "context", "is not an option here");
    assert_false(config_explain(&f->config, &e));
    assert_string_equal(e.where, "context");
}

static void test_help_looks_at_nothing_else(void **state) {
    struct fixture *f = *state;
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--config", "/nowhere", "--help", NULL),
                                  WORDS("PRENORM_PORT=x", NULL)),
                     STATUS_OK);
    assert_int_equal(f->config.action, CONFIG_HELP);
}

/* Each that is shown can be set: numbers and booleans, nothing that is owned or names a file. */
static void set_as_it_is(void *context, const char *key, const char *value) {
    struct config *config = context;
    struct error e;
    if (*value) assert_int_equal(config_set(config, key, value, &e), STATUS_OK);
    assert_string_not_equal(key, "json-schema");
    assert_string_not_equal(key, "grammar");
}

static void test_settings_of_a_session(void **state) {
    struct fixture *f = *state;
    static const char *const not_settings[] = {"stop",    "bad-words", "regex",   "json-schema",
                                               "grammar", "port",      "nonsense"};
    struct error e;
    assert_int_equal(fixture_load(f, COMMAND_GENERATE, NO_WORDS, NO_WORDS), STATUS_OK);
    config_each_setting(&f->config, set_as_it_is, &f->config);
    for (size_t i = 0; i < sizeof not_settings / sizeof *not_settings; i++) {
        assert_int_equal(config_set(&f->config, not_settings[i], "x", &e), STATUS_INVALID_ARGUMENT);
        assert_string_equal(e.text, "is not a setting of the generation");
    }
    assert_int_equal(config_set(&f->config, "n", "3", &e), STATUS_OK);
    assert_int_equal(f->config.n, 3);
    assert_int_equal(config_set(&f->config, "n", "0", &e), STATUS_INVALID_ARGUMENT);
    assert_int_equal(f->config.n, 3);
}

static void test_command_names(void **state) {
    (void)state;
    for (int command = 0; command < COMMAND_COUNT; command++)
        assert_int_equal(command_from_name(command_name((enum command)command)), command);
    assert_int_equal(command_from_name("server"), COMMAND_COUNT);
    assert_int_equal(command_from_name(""), COMMAND_COUNT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(test_defaults),
        CONFIG_TEST(test_default_file_environment_flag),
        CONFIG_TEST(test_a_flag_wins_wherever_the_file_is_named),
        CONFIG_TEST(test_the_file_of_the_environment_and_that_of_the_flag),
        CONFIG_TEST(test_rules_between_options),
        CONFIG_TEST(test_who_set_an_option),
        CONFIG_TEST(test_help_looks_at_nothing_else),
        CONFIG_TEST(test_settings_of_a_session),
        cmocka_unit_test(test_command_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
