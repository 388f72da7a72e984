#include "tests/unit/engine/text/build.h"

#include "engine/text/normalize/normalizer.h"

/* Expected texts are those of the tokenizers library. */
static const struct {
    const char *json, *text, *expected;
} cases[] = {
    {"{'type': 'NFC'}", "e\u0301 \u212B", "\u00E9 \u00C5"},
    {"{'type': 'NFD'}", "\u00E9\uAC01", "e\u0301\u1100\u1161\u11A8"},
    {"{'type': 'NFKC'}", "\uFB01\u2460\uFF21\u0344", "fi1\u00C4\u0301"},
    {"{'type': 'NFKD'}", "\uFDFA", "صلى الله عليه وسلم"},
    {"{'type': 'NFKC'}", "\u32FF\uA7F2", "\u32FF\uA7F2"}, /* newer than the library's forms */
    {"{'type': 'NFC'}", "a\u0307\u0323", "\u1EA1\u0307"},
    {"{'type': 'NFC'}", "a\u08D3\u0301", "a\u08D3\u0301"}, /* U+08D3 is not a mark to it, so that it blocks */
    {"{'type': 'Lowercase'}", "ÀΣİẞ", "àσi\u0307ß"},
    {"{'type': 'StripAccents'}", "e\u0301a\u0903", "ea"},
    {"{'type': 'Strip'}", " \u3000a b\n", "a b"},
    {"{'type': 'Strip', 'strip_left': false}", " a ", " a"},
    {"{'type': 'Strip', 'strip_right': false}", " a ", "a "},
    {"{'type': 'Strip'}", " \n ", ""},
    {"{'type': 'Prepend', 'prepend': '_'}", "a", "_a"},
    {"{'type': 'Prepend', 'prepend': '_'}", "", ""},
    {"{'type': 'Replace', 'pattern': {'String': '.'}, 'content': '!?'}", "a.b.", "a!?b!?"},
    {"{'type': 'Replace', 'pattern': {'Regex': ' {2,}'}, 'content': '_'}", "a   b c", "a_b c"},
    {"{'type': 'Replace', 'pattern': {'Regex': 'a'}, 'content': ''}", "aba", "b"},
    {"{'type': 'BertNormalizer'}", "H\u00E9llo\x01\t\u4E2DX", "hello  \u4E2D x"},
    {"{'type': 'BertNormalizer', 'lowercase': false}", "H\u00E9", "H\u00E9"},
    {"{'type': 'BertNormalizer', 'lowercase': false, 'strip_accents': true}", "H\u00E9", "He"},
    {"{'type': 'BertNormalizer', 'strip_accents': false}", "H\u00C9", "h\u00E9"},
    {"{'type': 'BertNormalizer', 'clean_text': false, 'handle_chinese_chars': false}", "\x01\u4E2D",
     "\x01\u4E2D"},
    {"{'type': 'BertNormalizer'}", "\v\u2028\uFFFD\u0378", " \u0378"},
    {"{'type': 'Sequence', 'normalizers': [{'type': 'Prepend', 'prepend': 'A'}, {'type': 'Sequence', "
     "'normalizers': "
     "[{'type': 'Lowercase'}]}]}",
     "B", "ab"},
    {"{'type': 'Sequence', 'normalizers': []}", "A", "A"},
};

static enum status try_run(const json_t *json, const char *text, size_t length, struct text_buffer *out,
                           struct error *out_error) {
    struct error e = {0};
    struct normalizer n;
    struct regex_run *regex_run;
    bool starts_there = true;
    struct json_path top = json_path_top("test", json);
    assert_ok(normalizer_init(&n, &top, &e));
    assert_ok(regex_run_create(REGEX_STEPS_ENCODING, &regex_run, &e));
    text_buffer_append(out, text, length);
    enum status status = normalizer_run(&n, regex_run, out, &starts_there, out_error);
    regex_run_destroy(regex_run);
    normalizer_deinit(&n);
    return status;
}

static void run(const json_t *json, const char *text, size_t length, struct text_buffer *out) {
    struct error e = {0};
    assert_ok(try_run(json, text, length, out, &e));
}

static void test_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text_buffer out = {0};
        json_t *json = build_json(cases[i].json);
        run(json, cases[i].text, strlen(cases[i].text), &out);
        text_buffer_append_byte(&out, '\0');
        if (strcmp(out.bytes, cases[i].expected) != 0)
            fail_msg("%s of '%s': '%s'", cases[i].json, cases[i].text, out.bytes);
        text_buffer_deinit(&out);
        json_decref(json);
    }
}

/* A form that is much longer than the text is refused before the next step, though that would make it short again. */
static void test_growth_between_steps(void **state) {
    (void)state;
    static const char *const growing[] = {
        "{'type': 'Replace', 'pattern': {'String': 'a'}, 'content': 'aa'}",
        "{'type': 'Replace', 'pattern': {'Regex': '[a]'}, 'content': 'aa'}",
    };
    for (size_t i = 0; i < sizeof growing / sizeof growing[0]; i++) {
        struct error e = {0};
        struct text_buffer out = {0};
        json_t *json = build_json("{'type': 'Sequence', 'normalizers': []}");
        json_t *steps = json_object_get(json, "normalizers");
        for (size_t k = 0; k < 20; k++) json_array_append_new(steps, build_json(growing[i]));
        json_array_append_new(steps,
                              build_json("{'type': 'Replace', 'pattern': {'Regex': 'a+'}, 'content': 'b'}"));
        assert_int_equal(try_run(json, "a", 1, &out, &e), STATUS_INVALID_ARGUMENT);
        assert_non_null(strstr(e.text, "more than"));
        text_buffer_deinit(&out);
        json_decref(json);
    }
}

/* Marks of two classes in turn, far more than any stack or quadratic sort would bear: in order they are all
 * of the one and then all of the other. */
static void test_long_run_of_marks(void **state) {
    (void)state;
    enum { PAIRS = 300000 };
    static const char above[] = "\u0301", below[] = "\u0323";
    struct text_buffer text = {0}, out = {0};
    json_t *json = build_json("{'type': 'NFD'}");
    for (int i = 0; i < PAIRS; i++) {
        text_buffer_append(&text, above, 2);
        text_buffer_append(&text, below, 2);
    }
    run(json, text.bytes, text.length, &out);
    assert_int_equal(out.length, text.length);
    for (size_t i = 0; i < PAIRS; i++) {
        assert_memory_equal(out.bytes + 2 * i, below, 2);
        assert_memory_equal(out.bytes + 2 * (PAIRS + i), above, 2);
    }
    text_buffer_deinit(&text);
    text_buffer_deinit(&out);
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases),
                                       cmocka_unit_test(test_growth_between_steps),
                                       cmocka_unit_test(test_long_run_of_marks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
