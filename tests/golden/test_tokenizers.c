/* Every tokenizer of tests/golden/tokenizers, and of the parent folders that PRENORM_TEST_TOKENIZERS names
 * (separated by colons), against the ids and texts of the tokenizers library in its cases.json. Ids must be
 * equal, texts too. */
#include "tests/support/test_support.h"

#include <jansson.h>
#include <unistd.h>

#include "engine/text/detokenizer.h"
#include "engine/text/tokenizer.h"

struct totals {
    size_t texts, wrong;
};

static json_t *load_cases(const char *folder) {
    json_error_t cause;
    char path[2048];
    snprintf(path, sizeof path, "%s/cases.json", folder);
    json_t *cases = json_load_file(path, JSON_ALLOW_NUL, &cause);
    if (!json_is_array(cases)) fail_msg("%s: line %d: %s", path, cause.line, cause.text);
    return cases;
}

static struct token_list read_ids(const json_t *array) {
    struct token_list list = {.count = json_array_size(array)};
    list.ids = calloc(list.count + 1, sizeof *list.ids);
    for (size_t i = 0; i < list.count; i++)
        list.ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return list;
}

static bool same_ids(const struct token_list *a, const struct token_list *b) {
    return a->count == b->count && (a->count == 0 || memcmp(a->ids, b->ids, a->count * sizeof *a->ids) == 0);
}

static bool same_text(const char *text, size_t length, const json_t *expected) {
    return length == json_string_length(expected) && memcmp(text, json_string_value(expected), length) == 0;
}

static bool check_encoding(const struct tokenizer *t, const json_t *text, bool special,
                           const struct token_list *expected) {
    struct error e = {0};
    struct token_list got = {0};
    assert_ok(tokenizer_encode(t, json_string_value(text), json_string_length(text), special, 0, &got, &e));
    bool same = same_ids(&got, expected);
    free(got.ids);
    return same;
}

static bool check_decoding(const struct tokenizer *t, const struct token_list *ids, bool skip,
                           const json_t *expected) {
    struct error e = {0};
    char *text;
    size_t length;
    assert_ok(tokenizer_decode(t, ids->ids, ids->count, skip, &text, &length, &e));
    bool same = same_text(text, length, expected);
    free(text);
    return same;
}

/* The same text id by id. */
static bool check_stream(const struct tokenizer *t, const struct token_list *ids, bool skip,
                         const json_t *expected) {
    struct error e = {0};
    struct detokenizer *d;
    const char *piece;
    size_t length, total = 0, wanted = json_string_length(expected);
    bool same = true;
    assert_ok(detokenizer_create(t, NULL, 0, skip, &d, &e));
    for (size_t i = 0; i <= ids->count; i++) {
        if (i < ids->count)
            assert_ok(detokenizer_push(d, ids->ids[i], &piece, &length, &e));
        else
            assert_ok(detokenizer_finish(d, &piece, &length, &e));
        same = same && total + length <= wanted &&
               memcmp(json_string_value(expected) + total, piece, length) == 0;
        total += length;
    }
    detokenizer_destroy(d);
    return same && total == wanted;
}

static void report(const char *name, size_t index, const char *what, struct totals *totals) {
    totals->wrong++;
    print_error("%s: case %zu: %s differs\n", name, index, what);
}

static void check_case(const struct tokenizer *t, const char *name, size_t index, const json_t *entry,
                       struct totals *totals) {
    const json_t *text = json_object_get(entry, "text");
    struct token_list ids = read_ids(json_object_get(entry, "ids"));
    struct token_list plain = read_ids(json_object_get(entry, "ids_plain"));
    const struct {
        const char *key;
        const struct token_list *ids;
        bool skip;
    } decodings[] = {
        {"decoded", &ids, false}, {"decoded_skip", &ids, true}, {"decoded_plain", &plain, false}};
    if (!check_encoding(t, text, true, &ids)) report(name, index, "ids", totals);
    if (!check_encoding(t, text, false, &plain)) report(name, index, "ids_plain", totals);
    for (size_t i = 0; i < sizeof decodings / sizeof decodings[0]; i++) {
        const json_t *expected = json_object_get(entry, decodings[i].key);
        if (!check_decoding(t, decodings[i].ids, decodings[i].skip, expected) ||
            !check_stream(t, decodings[i].ids, decodings[i].skip, expected))
            report(name, index, decodings[i].key, totals);
    }
    free(ids.ids);
    free(plain.ids);
    totals->texts++;
}

static void check_folder(const char *path, const char *name, void *context) {
    struct totals *totals = context;
    struct error e = {0};
    struct tokenizer *t;
    char cases_path[2048];
    snprintf(cases_path, sizeof cases_path, "%s/cases.json", path);
    if (access(cases_path, R_OK) != 0) return; /* a folder of another kind */
    assert_ok(tokenizer_open(path, &t, &e));
    json_t *cases = load_cases(path), *entry;
    size_t index;
    json_array_foreach(cases, index, entry) check_case(t, name, index, entry, totals);
    json_decref(cases);
    tokenizer_close(t);
}

static void test_own_cases(void **state) {
    (void)state;
    struct totals totals = {0};
    assert_true(test_each_folder(test_source_path("tests/golden/tokenizers"), check_folder, &totals) >= 20);
    assert_true(totals.texts >= 2000);
    assert_int_equal(totals.wrong, 0);
}

static void test_further_cases(void **state) {
    (void)state;
    struct totals totals = {0};
    const char *named = getenv("PRENORM_TEST_TOKENIZERS");
    if (!named || !*named) skip();
    char *parents = strdup(named), *rest = parents;
    for (char *parent; (parent = strsep(&rest, ":"));)
        if (*parent && test_each_folder(parent, check_folder, &totals) == 0)
            fail_msg("no folder in '%s'", parent);
    free(parents);
    assert_int_equal(totals.wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_own_cases),
                                       cmocka_unit_test(test_further_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
