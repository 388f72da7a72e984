/* What a body says that its texts must match reaches the engine, and what the engine says of it the client. */
#include "completion_fixture.h"

static void the_grammar_is_kept_with_the_completion(void **state) {
    (void)state;
    struct completion *c =
        prepare("{\"prompt\":\"a\",\"guided_regex\":\"x+\",\"guided_whitespace_pattern\":\"\"}");
    char expected[32];
    snprintf(expected, sizeof expected, "%d:x+:", GRAMMAR_REGEX);
    assert_string_equal(fake_engine_grammar_asked(), expected);
    assert_non_null(c->grammar);
    completion_destroy(c);
    c = prepare("{\"prompt\":\"a\"}");
    assert_null(c->grammar);
    completion_destroy(c);
}

static void expect(const char *text, enum api_error_kind kind, const char *words) {
    char body[128];
    struct api_error e;
    snprintf(body, sizeof body, "{\"prompt\":\"a\",\"grammar\":\"%s\"}", text);
    assert_int_equal(prepare_refused(body, &e), kind);
    if (!strstr(e.message, words)) fail_msg("%s; expected '%s'", e.message, words);
}

static void what_the_engine_says_is_told(void **state) {
    (void)state;
    expect("malformed", API_INVALID, "'grammar': #/a: it is not understood.");
    expect("unsupported", API_INVALID, "'grammar': there are none here.");
    expect("busy", API_QUEUE_FULL, "of schemas and grammars, 16 different ones are in use");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_grammar_is_kept_with_the_completion),
        cmocka_unit_test(what_the_engine_says_is_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
