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
    size_t bounded; /* tokenizers of which a token has a largest number of bytes */
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

/* Whatever a text becomes, it must not be longer than so many tokens may be. */
static void check_bound(const struct tokenizer *t, const char *text, size_t length, struct totals *totals) {
    struct error e = {0};
    struct token_list got = {0};
    size_t per_token = tokenizer_bytes_per_token_max(t);
    if (tokenizer_encode(t, text, length, false, 0, &got, &e) == STATUS_OK &&
        length > got.count * per_token) {
        totals->wrong++;
        print_error("%zu bytes are %zu tokens, of at most %zu bytes: %.40s\n", length, got.count, per_token,
                    text);
    }
    free(got.ids);
}

/* Of so many tokens one is looked at; under a sanitizer some, for all do the same. */
enum { OF_TOKENS = TEST_SHARE ? 7 : 1 };

/* Texts of the shortest encodings: each token again and again. */
static void check_bound_of_tokens(const struct tokenizer *t, struct totals *totals) {
    for (size_t id = 0; id < tokenizer_vocabulary(t); id += OF_TOKENS) {
        int32_t ids[] = {(int32_t)id, (int32_t)id, (int32_t)id, (int32_t)id, (int32_t)id};
        struct error e = {0};
        char *text;
        size_t length;
        assert_ok(tokenizer_decode(t, ids, sizeof ids / sizeof *ids, false, &text, &length, &e));
        check_bound(t, text, length, totals);
        free(text);
    }
}

static void check_bound_of_folder(const char *path, const char *name, void *context) {
    struct totals *totals = context;
    struct error e = {0};
    struct tokenizer *t;
    (void)name;
    assert_ok(tokenizer_open(path, &t, &e));
    if (tokenizer_bytes_per_token_max(t) > 0) {
        totals->bounded++;
        check_bound_of_tokens(t, totals);
        json_t *cases = load_cases(path), *entry;
        size_t index;
        json_array_foreach(cases, index, entry) {
            const json_t *text = json_object_get(entry, "text");
            check_bound(t, json_string_value(text), json_string_length(text), totals);
        }
        json_decref(cases);
    }
    tokenizer_close(t);
}

static void test_no_text_is_longer_than_its_tokens(void **state) {
    (void)state;
    struct totals totals = {0};
    test_each_folder(test_source_path("tests/golden/tokenizers"), check_bound_of_folder, &totals);
    assert_true(totals.bounded >= 8);
    assert_int_equal(totals.wrong, 0);
}

static void check_unbounded(const char *name) {
    char path[256];
    struct error e = {0};
    struct tokenizer *t;
    snprintf(path, sizeof path, "tests/golden/tokenizers/%s", name);
    assert_ok(tokenizer_open(test_source_path(path), &t, &e));
    assert_int_equal(tokenizer_bytes_per_token_max(t), 0);
    tokenizer_close(t);
}

/* A run of what is unknown is one token; blanks, marks and control characters vanish; tokens take blanks. */
static void test_texts_that_shrink_have_no_bound(void **state) {
    (void)state;
    check_unbounded("xglm");
    check_unbounded("mixed-25");
    check_unbounded("mixed-12");
    check_unbounded("added-flags");
    check_unbounded("mixed-04");
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_cases), cmocka_unit_test(test_no_text_is_longer_than_its_tokens),
        cmocka_unit_test(test_texts_that_shrink_have_no_bound), cmocka_unit_test(test_further_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
