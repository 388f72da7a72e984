#include "tests/unit/config/config_fixture.h"

/* Every folder of tests/cases/config is a file of options, config.json, and expect.txt: how the message
 * begins that it must give, with FILE for the path; an empty one means that it is accepted. */
static void check_case(const char *path, const char *name, void *context) {
    struct fixture *f = context;
    char file[1200], expected[1400] = "";
    char *expect = test_file_read(path, "expect.txt", NULL);
    snprintf(file, sizeof file, "%s/config.json", path);
    expect[strcspn(expect, "\n")] = '\0';
    char *placeholder = strstr(expect, "FILE");
    if (placeholder)
        snprintf(expected, sizeof expected, "%.*s%s%s", (int)(placeholder - expect), expect, file,
                 placeholder + 4);
    enum status status = fixture_load(f, COMMAND_SERVE, WORDS("--config", file, NULL), NO_WORDS);
    if (strncmp(f->message, expected, strlen(expected)) != 0 || (status == STATUS_OK) != !*expected)
        fail_msg("%s: expected '%s', found '%s'", name, expected, f->message);
    free(expect);
}

static void test_cases(void **state) {
    assert_true(test_each_folder(test_source_path("tests/cases/config"), check_case, *state) > 0);
}

static void test_values(void **state) {
    struct fixture *f = *state;
    const char *file = fixture_file(f, "a.json",
                                    "{\"stop\": [\"x\", \"y\"], \"temperature\": 1, \"top-p\": 0.25,"
                                    "\"seed\": -3, \"model\": \"/m\", \"host\": null}");
    assert_int_equal(fixture_load(f, COMMAND_GENERATE, WORDS("--config", file, NULL), NO_WORDS), STATUS_OK);
    assert_int_equal(f->config.stop.count, 2);
    assert_string_equal(f->config.stop.items[1], "y");
    assert_true(f->config.temperature == 1.0 && f->config.top_p == 0.25);
    assert_int_equal(f->config.seed, -3);
    assert_string_equal(f->config.model, "/m");
    assert_string_equal(f->config.host, "127.0.0.1");
}

static void test_a_missing_file_a_folder_and_a_huge_one(void **state) {
    struct fixture *f = *state;
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--config", "/nowhere/a.json", NULL), NO_WORDS),
                     STATUS_NOT_FOUND);
    assert_string_equal(f->message,
                        "/nowhere/a.json: the configuration file cannot be read: No such file or directory");
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--config", "/", NULL), NO_WORDS), STATUS_IO);
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--config", "/dev/zero", NULL), NO_WORDS),
                     STATUS_LIMIT);
}

/* ---- printing ---- */

static char *print(struct fixture *f, enum command command) {
    char *text = NULL;
    size_t length = 0;
    struct error e;
    FILE *out = open_memstream(&text, &length);
    assert_ok(config_print(&f->config, command, out, &e));
    fclose(out);
    return text;
}

/* Values other than the defaults, as a file would have them. */
static const char everything[] =
    "{\"model\": \"/a \\\"b\\\" \\u00e4\", \"norm-form\": \"layernorm\", \"context\": 77, \"threads\": 3, "
    "\"isa\": \"scalar\","
    "\"matmul\": \"openblas\", \"step-tokens\": 99, \"kv-cache-mib\": 5, \"kv-type\": \"f32\", "
    "\"kv-page-tokens\": 32,"
    "\"max-tokens\": 9, \"temperature\": 0.7, \"top-k\": 40, \"top-p\": 0.1, \"seed\": -9223372036854775808,"
    "\"stop\": [\"a\\nb\", \"c\"], \"log-level\": \"debug\", \"port\": 1, \"tls-cert\": \"c\", \"tls-key\": "
    "\"k\"}";

static void check_round_trip(struct fixture *f, enum command command, const char *const *words) {
    assert_int_equal(fixture_load(f, command, words, NO_WORDS), STATUS_OK);
    char *printed = print(f, command);
    const char *file = fixture_file(f, "printed.json", printed);
    assert_int_equal(fixture_load(f, command, WORDS("--config", file, NULL), NO_WORDS), STATUS_OK);
    char *again = print(f, command);
    assert_string_equal(printed, again);
    free(printed);
    free(again);
}

static void test_what_is_printed_is_read_again(void **state) {
    struct fixture *f = *state;
    for (int command = 0; command < COMMAND_COUNT; command++) {
        check_round_trip(f, (enum command)command, NO_WORDS);
        check_round_trip(f, (enum command)command,
                         WORDS("--config", fixture_file(f, "all.json", everything), NULL));
    }
}

static void test_print_shows_the_values_in_effect(void **state) {
    struct fixture *f = *state;
    const char *file = fixture_file(f, "all.json", everything);
    assert_int_equal(fixture_load(f, COMMAND_GENERATE, WORDS("--config", file, "--top-k", "7", NULL),
                                  WORDS("PRENORM_TOP_P=0.3", NULL)),
                     STATUS_OK);
    char *printed = print(f, COMMAND_GENERATE);
    assert_non_null(strstr(printed, "\"temperature\": 0.7,\n"));
    assert_non_null(strstr(printed, "\"top-k\": 7,\n"));
    assert_non_null(strstr(printed, "\"top-p\": 0.3,\n"));
    assert_non_null(strstr(printed, "\"seed\": -9223372036854775808,\n"));
    assert_non_null(strstr(printed, "\"stop\": [\"a\\nb\", \"c\"],\n"));
    assert_null(strstr(printed, "\"port\"")); /* of another command */
    free(printed);
}

static void test_what_json_cannot_say_is_refused(void **state) {
    struct fixture *f = *state;
    struct error e;
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--model", "\xff", NULL), NO_WORDS), STATUS_OK);
    FILE *out = fopen("/dev/null", "w");
    assert_int_equal(config_print(&f->config, COMMAND_SERVE, out, &e), STATUS_UNSUPPORTED);
    fclose(out);
    assert_int_equal(fixture_load(f, COMMAND_SERVE, NO_WORDS, NO_WORDS), STATUS_OK);
    out = fopen("/dev/full", "w");
    assert_int_equal(config_print(&f->config, COMMAND_SERVE, out, &e), STATUS_IO);
    fclose(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(test_cases),
        CONFIG_TEST(test_values),
        CONFIG_TEST(test_a_missing_file_a_folder_and_a_huge_one),
        CONFIG_TEST(test_what_is_printed_is_read_again),
        CONFIG_TEST(test_print_shows_the_values_in_effect),
        CONFIG_TEST(test_what_json_cannot_say_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
