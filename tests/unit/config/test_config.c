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
                     STATUS_INVALID_ARGUMENT);
    assert_string_equal(f->message, "--tls-cert: needs tls-key too");
    assert_int_equal(fixture_load(f, COMMAND_SERVE, NO_WORDS, WORDS("PRENORM_TLS_KEY=k.pem", NULL)),
                     STATUS_INVALID_ARGUMENT);
    assert_string_equal(f->message, "PRENORM_TLS_KEY: needs tls-cert too");
    assert_int_equal(
        fixture_load(f, COMMAND_SERVE, WORDS("--tls-cert", "c", "--tls-key", "k", NULL), NO_WORDS),
        STATUS_OK);
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--kv-page-tokens", "24", NULL), NO_WORDS),
                     STATUS_INVALID_ARGUMENT);
    assert_string_equal(f->message, "--kv-page-tokens: found 24, expected a multiple of 16");
}

static void test_help_looks_at_nothing_else(void **state) {
    struct fixture *f = *state;
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--config", "/nowhere", "--help", NULL),
                                  WORDS("PRENORM_PORT=x", NULL)),
                     STATUS_OK);
    assert_int_equal(f->config.action, CONFIG_HELP);
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
        CONFIG_TEST(test_help_looks_at_nothing_else),
        cmocka_unit_test(test_command_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
