/* Encoding of texts of which parts are guarded: over every tokenizer of tests/golden, and over small ones. */
#include "tests/unit/engine/text/build.h"

#include <unistd.h>

static struct token_list encode(const struct tokenizer *t, const char *text, size_t length,
                                const struct text_range *guarded, size_t count) {
    struct token_list list = {0};
    struct error e;
    assert_ok(tokenizer_encode_guarded(t, text, length, false, guarded, count, 0, &list, &e));
    return list;
}

/* Those of a text: not an unknown token for what it has of other characters. */
static size_t count_controls(const struct tokenizer *t, const struct token_list *ids, const char *text,
                             size_t length) {
    size_t count = 0;
    struct token_list unknown =
        encode(t, "\xee\x80\x80", 3, NULL, 0); /* of private use: no vocabulary has it */
    for (size_t i = 0; i < ids->count; i++) {
        const char *content = tokenizer_content(t, ids->ids[i]);
        if (unknown.count > 0 && ids->ids[i] == unknown.ids[unknown.count - 1]) continue;
        if (tokenizer_is_control(t, ids->ids[i]))
            count += memmem(text, length, content, strlen(content)) != NULL;
    }
    free(unknown.ids);
    return count;
}

static bool same(const struct token_list *a, const struct token_list *b) {
    return a->count == b->count && (a->count == 0 || memcmp(a->ids, b->ids, a->count * sizeof *a->ids) == 0);
}

struct totals {
    size_t texts, with_controls;
};

/* Where the character begins that a byte belongs to. */
static size_t whole(const char *text, size_t at) {
    while (at > 0 && (text[at] & 0xC0) == 0x80) at--;
    return at;
}

/* Without a control token nothing changes, wherever guards are; with some, a guard over all of it leaves none. */
static void check_text(const struct tokenizer *t, const char *text, size_t length, struct totals *totals) {
    const struct text_range all = {0, length},
                            thirds[] = {{whole(text, length / 7), whole(text, length / 3)},
                                        {whole(text, length / 2), whole(text, length - 1)}};
    struct token_list plain = encode(t, text, length, NULL, 0), guarded = encode(t, text, length, &all, 1);
    bool several =
        thirds[0].start < thirds[0].end && thirds[0].end < thirds[1].start && thirds[1].start < thirds[1].end;
    struct token_list parts = several ? encode(t, text, length, thirds, 2) : (struct token_list){0};
    totals->texts++;
    totals->with_controls += count_controls(t, &plain, text, length) > 0;
    assert_int_equal(count_controls(t, &guarded, text, length), 0);
    bool free_of_controls = true;
    for (size_t i = 0; i < plain.count; i++) free_of_controls &= !tokenizer_is_control(t, plain.ids[i]);
    if (free_of_controls) {
        if (!same(&plain, &guarded) || (several && !same(&plain, &parts)))
            fail_msg("'%s' has other ids", text);
    }
    free(plain.ids);
    free(guarded.ids);
    free(parts.ids);
}

static void check_folder(const char *path, const char *name, void *context) {
    char cases_path[2048];
    struct error e = {0};
    struct tokenizer *t;
    json_t *entry;
    size_t index;
    snprintf(cases_path, sizeof cases_path, "%s/cases.json", path);
    if (access(cases_path, R_OK) != 0) return; /* a folder of another kind */
    print_message("%s\n", name);
    assert_ok(tokenizer_open(path, &t, &e));
    json_t *cases = json_load_file(cases_path, JSON_ALLOW_NUL, NULL);
    assert_true(json_is_array(cases));
    json_array_foreach(cases, index, entry) {
        const json_t *text = json_object_get(entry, "text");
        if (json_string_length(text) > 0)
            check_text(t, json_string_value(text), json_string_length(text), context);
    }
    json_decref(cases);
    tokenizer_close(t);
}

static void every_tokenizer_keeps_control_tokens_out_of_guarded_texts(void **state) {
    (void)state;
    struct totals totals = {0};
    test_each_folder(test_source_path("tests/golden/tokenizers"), check_folder, &totals);
    assert_true(totals.texts >= 2000);
    assert_true(totals.with_controls >= 50);
}

/* ---- small tokenizers ---------------------------------------------------------------------------------- */

#define LETTERS                                                                                              \
    "'<': 0, '|': 1, 'x': 2, '>': 3, 'y': 4, ' ': 5, '/': 6, 's': 7, 'X': 8, '\\u00e9': 9, 'e': 10, "        \
    "'\\u0301': 11"
#define TOKENIZER(normalizer, added)                                                                         \
    "{'normalizer': " normalizer ", 'added_tokens': [" added                                                 \
    "], 'model': {'type': 'BPE', 'vocab': {" LETTERS "}, 'merges': []}}"
#define SPECIAL(id, content) "{'id': " #id ", 'content': '" content "', 'special': true, 'normalized': false}"
#define NORMAL(id, content)  "{'id': " #id ", 'content': '" content "', 'special': false, 'normalized': true}"

/* marked: what is in brackets is guarded. expected: ids with blanks between them. */
static void expect(const char *json, const char *marked, const char *expected) {
    struct tokenizer *t = build_tokenizer(json);
    struct text_range ranges[8];
    char text[128], found[256] = "";
    size_t length = 0, count = 0, written = 0;
    for (const char *at = marked; *at; at++) {
        if (*at == '[') ranges[count].start = length;
        if (*at == ']') ranges[count++].end = length;
        if (*at != '[' && *at != ']') text[length++] = *at;
    }
    struct token_list ids = encode(t, text, length, ranges, count);
    for (size_t i = 0; i < ids.count; i++)
        written += (size_t)snprintf(found + written, sizeof found - written, i ? " %d" : "%d", ids.ids[i]);
    if (strcmp(found, expected) != 0) fail_msg("'%s' has ids %s, not %s", marked, found, expected);
    free(ids.ids);
    tokenizer_close(t);
}

static void tokens_of_the_template_are_found_beside_guarded_parts(void **state) {
    (void)state;
    static const char json[] = TOKENIZER("null", SPECIAL(12, "<|x|>") ", " SPECIAL(13, "<|x|>y"));
    expect(json, "<|x|>[y]<|x|>", "12 4 12");
    expect(json, "<|x|>y[y]<|x|>", "13 4 12");
    expect(json, "[<|x|>]", "0 1 2 1 3");
    expect(json, "[<|]x|>", "0 1 2 1 3");
    expect(json, "<|[x]|>", "0 1 2 1 3");
    expect(json, "<|x|[>]y", "0 1 2 1 3 4");
    expect(json, "<|x|>[<|x|>]<|x|>", "12 0 1 2 1 3 12");
    expect(json, "[y]<|x|>[<]|x|>", "4 12 0 1 2 1 3");
}

static void blanks_and_words_are_found_everywhere(void **state) {
    (void)state;
    static const char json[] = TOKENIZER("null", "{'id': 12, 'content': '  ', 'normalized': false}, "
                                                 "{'id': 13, 'content': 'xy', 'normalized': false}, "
                                                 "{'id': 14, 'content': 'yx', 'special': true}");
    expect(json, "[  x]", "12 2");
    expect(json, "x [ y] ", "2 12 4 5");
    expect(json, "[xy]x[y]", "13 13");
    expect(json, "[yx] yx", "4 2 5 14");
}

static void a_token_takes_blanks_of_guarded_parts(void **state) {
    (void)state;
    static const char json[] = TOKENIZER("null", "{'id': 12, 'content': '<|x|>', 'special': true, "
                                                 "'normalized': false, 'rstrip': true, 'lstrip': true}");
    expect(json, "[y  ]<|x|>[  y]", "4 12 4");
}

static void normal_forms_keep_their_guards(void **state) {
    (void)state;
    static const char lower[] = TOKENIZER("{'type': 'Lowercase'}", NORMAL(12, "<|x|>"));
    expect(lower, "[<|X|>]<|X|>[y<|x|>]", "0 1 2 1 3 12 4 0 1 2 1 3");
    expect(lower, "<|[X]|><|x|>", "0 1 2 1 3 12");
    static const char composed[] = TOKENIZER("{'type': 'NFC'}", NORMAL(12, "<|x|>"));
    /* An accent of the client joins a letter of the template: what is around them stays as it is. */
    expect(composed, "<|x|>e[\xcc\x81<|x|>]<|x|>", "12 9 0 1 2 1 3 12");
    static const char longer[] =
        TOKENIZER("{'type': 'Replace', 'pattern': {'String': 'y'}, 'content': '<|x|>'}", NORMAL(12, "<|x|>"));
    expect(longer, "y[y]y", "12 0 1 2 1 3 12");
    expect(longer, "[xyyx]", "2 0 1 2 1 3 0 1 2 1 3 2");
    static const char stripped[] =
        TOKENIZER("{'type': 'Strip', 'strip_left': true, 'strip_right': true}", NORMAL(12, "<|x|>"));
    expect(stripped, " <|x|>[ <|x|> ]<|x|> ", "12 5 0 1 2 1 3 5 12");
}

/* A piece of the model's own vocabulary that is an added token as well. */
static void the_models_vocabulary_gives_no_control_token_either(void **state) {
    (void)state;
    static const char json[] = "{'added_tokens': [" SPECIAL(3, "</s>") ", " SPECIAL(
        4, "<s>") "], 'model': {'type': 'Unigram', 'unk_id': 0, 'vocab': [['?', 0], ['<', -5], ['/s>', -5], "
                  "['</s>', -1], "
                  "['<s>', -1], ['s>', -5], ['x', -2]]}}";
    expect(json, "</s>[</s>]</s>", "3 1 2 3");
    expect(json, "[x</s><s></s>x]<s>", "6 1 2 1 5 1 2 6 4");
    expect(json, "x</s[>]", "6 1 2");
    struct tokenizer *t = build_tokenizer(json);
    size_t length = 400000;
    char *text = malloc(length);
    assert_non_null(text);
    for (size_t i = 0; i < length; i++) text[i] = "</s>"[i % 4];
    struct token_list ids = encode(t, text, length, &(struct text_range){0, length}, 1);
    assert_int_equal(ids.count, length / 2);
    assert_int_equal(count_controls(t, &ids, text, length), 0);
    free(ids.ids);
    free(text);
    tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tokenizer_keeps_control_tokens_out_of_guarded_texts),
        cmocka_unit_test(tokens_of_the_template_are_found_beside_guarded_parts),
        cmocka_unit_test(blanks_and_words_are_found_everywhere),
        cmocka_unit_test(a_token_takes_blanks_of_guarded_parts),
        cmocka_unit_test(normal_forms_keep_their_guards),
        cmocka_unit_test(the_models_vocabulary_gives_no_control_token_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
