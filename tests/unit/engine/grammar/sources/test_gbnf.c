/* GBNF: what its parts mean, and what is refused and where. */
#include "tests/unit/engine/grammar/shared_vocabulary.h"

/* Texts are separated by '|'; those behind "!" do not match. */
static const struct {
    const char *grammar, *texts;
} cases[] = {
    {"root ::= \"abc\"", "abc|!|!ab|!abcd"},
    {"root ::= \"a\" | \"b\"\n", "a|b|!ab"},
    {"root ::=\n  \"a\" |\n  \"b\" # a comment\n\n# another\n", "a|b"},
    {"root ::= ( \"a\"\n \"b\" )* \"c\"", "c|abc|ababc|!ac"},
    {"root ::= \"ab\"+", "ab|abab|!|!aba"},
    {"root ::= \"ab\"?", "|ab|!abab"},
    {"root ::= [a-c]{2} [0-9]{1,} x{0,2}\nx ::= \"x\"", "ab1|cc123x|ac9xx|!a1|!ab|!ab1xxx"},
    {"root ::= \"a\"{2,3}", "aa|aaa|!a|!aaaa"},
    {"root ::= [^a-c\"]", "d|\xc3\xa9|\xf0\x9f\x98\x80|\n|!a|!\"|!dd|!\xc3"},
    {"root ::= .", "a|\n|\xe2\x82\xac|!|!\xff"},
    {"root ::= \"\\x41\\u00e9\\U0001F600\\n\\t\\r\\\\\\\"\\[\\]\"",
     "A\xc3\xa9\xf0\x9f\x98\x80\n\t\r\\\"[]|!A"},
    {"root ::= [\\x41-\\u00e9\\]-]", "A|\xc3\xa9|]|-|!@"},
    {"root ::= [a-]", "a|-|!b"},
    {"root ::= \"\xc3\xa9\" [\xce\xb1-\xcf\x89]+", "\xc3\xa9\xce\xb1\xcf\x89|!\xc3\xa9"},
    {"root ::= \"(\" root \")\" | \"\"", "|()|((()))|!(|!())"},
    {"root ::= list\nlist ::= \"x\" (\",\" list)?", "x|x,x|x,x,x|!x,"},
    {"root ::= \"a\" b-1 | \"a\" c_2\nb-1 ::= \"b\"\nc_2 ::= \"bc\"", "ab|abc|!a"},
    {"root ::= | \"x\"", "|x"},
    {"root ::= \"a\"**", "|a|aaa"},
    {"root ::= ws \"x\" ws\nws ::= [ \\t]*", "x|  x\t|!x x x"},
    {"root ::= \"x\"{1000000}{1000000} | \"y\"", "y|!x"},
};

static void check_texts(struct grammar *g, const char *texts, const char *grammar) {
    char copy[512];
    for (;;) {
        size_t length = strcspn(texts, "|");
        bool expected = texts[0] != '!';
        size_t skip = !expected;
        assert_true(length < sizeof copy);
        memcpy(copy, texts + skip, length - skip);
        copy[length - skip] = 0;
        if (fixture_matches(g, copy) != expected) fail_msg("%s: '%s' expected %d", grammar, copy, expected);
        if (texts[length] == 0) return;
        texts += length + 1;
    }
}

static void parts_mean_what_they_say(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct grammar *g = fixture_compile(GRAMMAR_GBNF, cases[i].grammar, vocabulary);
        check_texts(g, cases[i].texts, cases[i].grammar);
        grammar_release(g);
    }
}

static const struct {
    const char *grammar, *words;
} refused[] = {
    {"", "root"},
    {"a ::= \"x\"", "no rule 'root'"},
    {"root ::= a", "line 1, column 10|'a' is not defined"},
    {"root ::= \"a\"\nroot ::= \"b\"", "line 2|twice"},
    {"root = \"a\"", "line 1, column 6|'::='"},
    {"root ::= \"a", "column 12|ends"},
    {"root ::= [a", "ends"},
    {"root ::= []", "without characters"},
    {"root ::= [b-a]", "higher"},
    {"root ::= (\"a\"", "')'"},
    {"root ::= \"a\")", "column 13|end of the line"},
    {"root ::= \"a\"{3,2}", "lower count"},
    {"root ::= \"a\"{x}", "count"},
    {"root ::= \"a\"{99999999999}", "count above"},
    {"root ::= \"\\q\"", "'\\' must stand before"},
    {"root ::= \"\\u00g0\"", "hexadecimal"},
    {"root ::= \"\\ud800\"", "no character"},
    {"root ::= <think>", "tokens of the vocabulary"},
    {"root ::= \"\xff\"", "UTF-8"},
    {"root ::= root \"a\" | \"b\"", "root|left recursion"},
    {"root ::= x\nx ::= y? z\ny ::= \"y\"\nz ::= x \"a\" | \"b\"", "left recursion"},
    {"root ::= \"a\" root", "no text"},
};

static void errors_name_what_and_where(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct grammar *g;
        struct error e;
        char line[ERROR_LINE_BYTES];
        enum status status = fixture_try(GRAMMAR_GBNF, refused[i].grammar, vocabulary, &g, &e);
        if (status != STATUS_INVALID_ARGUMENT) fail_msg("%s: status %d", refused[i].grammar, (int)status);
        assert_null(g);
        error_format(&e, line, sizeof line);
        assert_says(line, refused[i].words);
    }
}

/* `count` times `unit`, between what stands around them. */
static char *repeat_text(const char *before, const char *unit, size_t count, const char *after) {
    size_t length = strlen(unit);
    char *text = malloc(strlen(before) + count * length + strlen(after) + 1), *at = text;
    at = (char *)memcpy(at, before, strlen(before)) + strlen(before);
    for (size_t i = 0; i < count; i++, at += length) memcpy(at, unit, length);
    memcpy(at, after, strlen(after) + 1);
    return text;
}

static enum status compile_built(char *text, struct error *e) {
    struct grammar *g;
    enum status status = fixture_try(GRAMMAR_GBNF, text, vocabulary, &g, e);
    grammar_release(g);
    free(text);
    return status;
}

static void deep_and_long_ones_are_refused_or_fine(void **state) {
    struct error e;
    (void)state;
    assert_int_equal(compile_built(repeat_text("root ::= ", "(", 100000, ""), &e), STATUS_INVALID_ARGUMENT);
    assert_says(e.text, "deeper");
    assert_ok(compile_built(repeat_text("root ::= \"a\"", "*", 100000, ""), &e));
    assert_ok(compile_built(repeat_text("root ::= \"a\"", " \"b\"", 20000, ""), &e));
    assert_ok(compile_built(repeat_text("root ::= \"a\"", " | \"b\"", 20000, ""), &e));
    /* As many as there is a number for are one. */
    assert_ok(compile_built(repeat_text("root ::= \"x\"", "{2}{3}", 1000, ""), &e));
    assert_int_equal(compile_built(repeat_text("root ::= \"x\"", "{2}{3}", 10000, ""), &e), STATUS_LIMIT);
    assert_says(e.text, "deeper");
    assert_ok(compile_built(repeat_text("root ::= \"x\"", " ", (1 << 20) - 12, ""), &e));
    assert_int_equal(compile_built(repeat_text("root ::= \"x\"", " ", (1 << 20) - 11, ""), &e), STATUS_LIMIT);
    assert_says(e.text, "at most 1048576");
}

/* A rule that calls the next one twice, 60 times, before a byte is taken; and one that doubles with each parenthesis. */
static void exponential_ways_are_one(void **state) {
    char text[4096];
    size_t at = 0;
    (void)state;
    at += (size_t)snprintf(text, sizeof text, "root ::= a0 root | \"!\"\n");
    for (int i = 0; i < 60; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "a%d ::= a%d root \"x\" | a%d root \"y\"\n", i,
                               i + 1, i + 1);
    snprintf(text + at, sizeof text - at, "a60 ::= \"z\"\n");
    struct grammar *g = fixture_compile(GRAMMAR_GBNF, text, vocabulary);
    assert_false(fixture_matches(g, "z!x"));
    assert_int_not_equal(fixture_read(g, "z!x!y", 5), GRAMMAR_DEAD);
    grammar_release(g);
    g = fixture_compile(GRAMMAR_GBNF,
                        "root ::= sum\nsum ::= ws | term | term \"+\" sum | (term \"-\" sum)\n"
                        "term ::= \"(\" sum \")\" | [0-9]+ root?\nws ::= \" \"",
                        vocabulary);
    assert_true(fixture_matches(g, "((((((((((((((((((((((((((((((1+2))))))))))))))))))))))))))))))-(3)"));
    grammar_release(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_mean_what_they_say),
        cmocka_unit_test(errors_name_what_and_where),
        cmocka_unit_test(deep_and_long_ones_are_refused_or_fine),
        cmocka_unit_test(exponential_ways_are_one),
    };
    return cmocka_run_group_tests(tests, vocabulary_setup, vocabulary_teardown);
}
