#include "tests/unit/config/config_fixture.h"

static void test_both_spellings_and_the_last_wins(void **state) {
    struct fixture *f = *state;
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--port", "1", "--port=2", NULL), NO_WORDS),
                     STATUS_OK);
    assert_int_equal(f->config.port, 2);
}

static void test_values_may_hold_equal_signs_and_start_with_one_dash(void **state) {
    struct fixture *f = *state;
    assert_int_equal(
        fixture_load(f, COMMAND_GENERATE, WORDS("--stop=a=b", "--seed", "-5", "--stop=--", NULL), NO_WORDS),
        STATUS_OK);
    assert_int_equal(f->config.stop.count, 2);
    assert_string_equal(f->config.stop.items[0], "a=b");
    assert_string_equal(f->config.stop.items[1], "--");
    assert_int_equal(f->config.seed, -5);
}

static void test_arguments(void **state) {
    struct fixture *f = *state;
    assert_int_equal(fixture_load(f, COMMAND_GENERATE, WORDS("--seed", "1", "Once", NULL), NO_WORDS),
                     STATUS_OK);
    assert_string_equal(f->config.argument, "Once");
    assert_int_equal(fixture_load(f, COMMAND_GENERATE, WORDS("--", "--seed", NULL), NO_WORDS), STATUS_OK);
    assert_string_equal(f->config.argument, "--seed");
    assert_false(config_is_set(&f->config, OPTION_seed));
    assert_int_equal(fixture_load(f, COMMAND_GENERATE, WORDS("-", NULL), NO_WORDS), STATUS_OK);
    assert_string_equal(f->config.argument, "-");
    assert_int_equal(fixture_load(f, COMMAND_GENERATE, WORDS("", NULL), NO_WORDS), STATUS_OK);
    assert_string_equal(f->config.argument, "");
}

struct bad_line {
    enum command command;
    const char *words[4];
    const char *message;
};

static void test_bad_lines(void **state) {
    static const struct bad_line lines[] = {
        {COMMAND_SERVE, {"--prot", "1"}, "--prot: no such option; did you mean --port?"},
        {COMMAND_SERVE, {"--prot=1"}, "--prot: no such option; did you mean --port?"},
        {COMMAND_SERVE, {"-port", "1"}, "-port: no such option; did you mean --port?"},
        {COMMAND_SERVE,
         {"--max-model-len", "1"},
         "--max-model-len: no such option; --context is this option here"},
        {COMMAND_SERVE,
         {"--max_model_len=1"},
         "--max_model_len: no such option; --context is this option here"},
        {COMMAND_SERVE, {"-m", "x"}, "-m: no such option; --model is this option here"},
        {COMMAND_SERVE,
         {"--api-key", "x"},
         "--api-key: no such option; --api-key-file names a file of keys, which no list of processes shows"},
        {COMMAND_SERVE,
         {"--load-format", "x"},
         "--load-format: no such option; the format of a checkpoint is known by the names of its files"},
        {COMMAND_SERVE,
         {"--temp", "1"},
         "--temp: no such option; 'generate' has --temperature, requests have 'temperature'"},
        {COMMAND_SERVE, {"-ub", "1"}, "-ub: no such option; --step-tokens is this option here"},
        {COMMAND_SERVE, {"--frobnicate"}, "--frobnicate: no such option"},
        {COMMAND_SERVE, {"--="}, "--: no such option"},
        {COMMAND_SERVE, {"--no-port"}, "--no-port: no such option; did you mean --port?"},
        {COMMAND_SERVE, {"--port"}, "--port: needs a value"},
        {COMMAND_SERVE, {"--model", "--port", "1"}, "--model: needs a value"},
        {COMMAND_SERVE, {"--config"}, "--config: needs a value"},
        {COMMAND_SERVE, {"--port="}, "--port: found '', expected a whole number from 0 to 65535"},
        {COMMAND_SERVE,
         {"--port", "70000"},
         "--port: found '70000', expected a whole number from 0 to 65535"},
        {COMMAND_SERVE, {"--model="}, "--model: found '', expected a text that is not empty"},
        {COMMAND_SERVE, {"--seed", "1"}, "--seed: is not an option of 'serve'"},
        {COMMAND_GENERATE, {"--port=1"}, "--port=1: is not an option of 'generate'"},
        {COMMAND_SERVE, {"--strict=maybe"}, "--strict: found 'maybe', expected true or false"},
        {COMMAND_SERVE, {"--no-strict=true"}, "--no-strict: no such option; did you mean --strict?"},
        {COMMAND_SERVE,
         {"--strict", "true"},
         "true: 'serve' takes options only; the model is named by --model"},
        {COMMAND_SERVE, {"now"}, "now: 'serve' takes options only; the model is named by --model"},
        {COMMAND_GENERATE,
         {"Once", "upon"},
         "upon: 'generate' takes one [PROMPT]; a text with spaces needs quotes"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(fixture_load(f, lines[i].command, lines[i].words, NO_WORDS),
                         STATUS_INVALID_ARGUMENT);
        assert_string_equal(f->message, lines[i].message);
    }
}

static void test_booleans(void **state) {
    static const struct {
        const char *words[3];
        bool strict;
    } lines[] = {
        {{NULL}, false},
        {{"--strict"}, true},
        {{"--strict=true"}, true},
        {{"--strict=1"}, true},
        {{"--strict=false"}, false},
        {{"--strict", "--no-strict"}, false},
        {{"--no-strict", "--strict"}, true},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(fixture_load(f, COMMAND_SERVE, lines[i].words, NO_WORDS), STATUS_OK);
        assert_int_equal(f->config.strict, lines[i].strict);
    }
    assert_int_equal(
        fixture_load(f, COMMAND_SERVE, WORDS("--no-strict", NULL), WORDS("PRENORM_STRICT=true", NULL)),
        STATUS_OK);
    assert_false(f->config.strict);
}

static void test_actions(void **state) {
    struct fixture *f = *state;
    assert_int_equal(fixture_load(f, COMMAND_SERVE, NO_WORDS, NO_WORDS), STATUS_OK);
    assert_int_equal(f->config.action, CONFIG_RUN);
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("--print-config", NULL), NO_WORDS), STATUS_OK);
    assert_int_equal(f->config.action, CONFIG_PRINT);
    assert_int_equal(fixture_load(f, COMMAND_SERVE, WORDS("-h", "--print-config", NULL), NO_WORDS),
                     STATUS_OK);
    assert_int_equal(f->config.action, CONFIG_HELP);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(test_both_spellings_and_the_last_wins),
        CONFIG_TEST(test_values_may_hold_equal_signs_and_start_with_one_dash),
        CONFIG_TEST(test_arguments),
        CONFIG_TEST(test_bad_lines),
        CONFIG_TEST(test_booleans),
        CONFIG_TEST(test_actions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
