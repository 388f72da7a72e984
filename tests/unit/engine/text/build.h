/* Tokenizers out of JSON in the source of a test: ' stands for ". */
#pragma once

#include "tests/support/test_support.h"

#include "engine/files/json_file.h"
#include "engine/text/tokenizer_parts.h"

/* The JSON with each ' made a ". Caller frees. */
static inline char *build_quote(const char *text) {
    char *copy = strdup(text);
    for (char *at = copy; *at; at++)
        if (*at == '\'') *at = '"';
    return copy;
}

/* Writes folder/name. */
static inline void build_write(const char *folder, const char *name, const char *text) {
    char *quoted = build_quote(text);
    test_file_write(folder, name, quoted, strlen(quoted));
    free(quoted);
}

static inline json_t *build_json(const char *text) {
    struct error e = {0};
    json_t *json = NULL;
    char *quoted = build_quote(text);
    assert_ok(json_file_parse(quoted, strlen(quoted), "test", JSON_FILE_VALUES_MAX, &json, &e));
    free(quoted);
    return json;
}

/* Opens a tokenizer.json; *out is NULL after an error. */
static inline enum status build_open(const char *text, struct tokenizer **out, struct error *e) {
    json_t *json = build_json(text);
    *out = NULL;
    enum status status = tokenizer_create(json, "tokenizer.json", out, e);
    json_decref(json);
    return status;
}

static inline struct tokenizer *build_tokenizer(const char *text) {
    struct error e = {0};
    struct tokenizer *t;
    assert_ok(build_open(text, &t, &e));
    return t;
}

/* Fails unless the text encodes to exactly these ids. */
static inline void build_expect_ids(const struct tokenizer *t, const char *text, bool special,
                                    const int32_t *ids, size_t count) {
    struct error e = {0};
    struct token_list got = {0};
    assert_ok(tokenizer_encode(t, text, strlen(text), special, 0, &got, &e));
    if (got.count != count || (count > 0 && memcmp(got.ids, ids, count * sizeof *ids) != 0)) {
        for (size_t i = 0; i < got.count; i++) print_error("%d ", got.ids[i]);
        fail_msg("'%s': these ids were not expected", text);
    }
    free(got.ids);
}
#define expect_ids(t, text, special, ...)                                                                    \
    build_expect_ids(t, text, special, (const int32_t[]){__VA_ARGS__},                                       \
                     sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static inline void build_expect_text(const struct tokenizer *t, const int32_t *ids, size_t count, bool skip,
                                     const char *expected) {
    struct error e = {0};
    char *text;
    size_t length;
    assert_ok(tokenizer_decode(t, ids, count, skip, &text, &length, &e));
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(expected));
    free(text);
}
#define expect_text(t, skip, expected, ...)                                                                  \
    build_expect_text(t, (const int32_t[]){__VA_ARGS__},                                                     \
                      sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t), skip, expected)
