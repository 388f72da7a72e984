/* A choice of strings. */
#include "tests/unit/engine/grammar/shared_vocabulary.h"

static void the_text_is_one_of_them(void **state) {
    (void)state;
    struct grammar *g = fixture_compile(
        GRAMMAR_CHOICE, "[\"yes\", \"yesterday\", \"n\\u00e9\", \"\", \"a\\\"b\"]", vocabulary);
    assert_true(fixture_matches(g, "yes"));
    assert_true(fixture_matches(g, "yesterday"));
    assert_true(fixture_matches(g, "n\xc3\xa9"));
    assert_true(fixture_matches(g, ""));
    assert_true(fixture_matches(g, "a\"b"));
    assert_false(fixture_matches(g, "yest"));
    assert_false(fixture_matches(g, "yesyes"));
    grammar_release(g);
}

static void others_are_refused(void **state) {
    static const char *const sources[][2] = {{"[", "no JSON"},
                                             {"{}", "list"},
                                             {"[]", "at least one"},
                                             {"\"a\"", "no JSON"},
                                             {"[\"a\", 1]", "element 1"}};
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct grammar *g;
        struct error e;
        assert_int_equal(fixture_try(GRAMMAR_CHOICE, sources[i][0], vocabulary, &g, &e),
                         STATUS_INVALID_ARGUMENT);
        assert_says(e.text, sources[i][1]);
    }
}

static void many_are_fine(void **state) {
    enum { COUNT = 10000 };
    char *source = malloc(COUNT * 16 + 3), *at = source;
    (void)state;
    *at++ = '[';
    for (int i = 0; i < COUNT; i++) at += snprintf(at, 16, "\"choice %d\",", i * 7919 % COUNT);
    memcpy(at - 1, "]", 2);
    struct grammar *g = fixture_compile(GRAMMAR_CHOICE, source, vocabulary);
    assert_true(fixture_matches(g, "choice 9999"));
    assert_true(fixture_matches(g, "choice 0"));
    assert_false(fixture_matches(g, "choice 10000"));
    grammar_release(g);
    free(source);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_one_of_them),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(many_are_fine),
    };
    return cmocka_run_group_tests(tests, vocabulary_setup, vocabulary_teardown);
}
