/* The table of all tokens' texts: byte-level and byte-fallback vocabularies, special tokens, gaps between ids. */
#include "engine/text/token_texts.h"

#include <string.h>

#include "engine/text/unicode/unicode.h"
#include "tests/support/test_support.h"

#define BYTE_LEVEL                                                                                           \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"\\u0120the\":1,\"\\u00e2\":2,"                         \
    "\"\\u00e2\\u0124\\u00ac\":3,"                                                                           \
    "\"a\\u00e2\":4,\"\\u00c3\\u00a9\":7,\"<|end|>\":9},\"merges\":[]},\"pre_tokenizer\":{\"type\":"         \
    "\"ByteLevel\","                                                                                         \
    "\"add_prefix_space\":false},\"decoder\":{\"type\":\"ByteLevel\"}"
#define BYTE_FALLBACK                                                                                        \
    "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\"<0xE2>\":0,\"<0x41>\":1,"               \
    "\"\\u2581the\":2,"                                                                                      \
    "\"the\":3,\"<|end|>\":4},\"merges\":[]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":"    \
    "\"Replace\","                                                                                           \
    "\"pattern\":{\"String\":\"\\u2581\"},\"content\":\" "                                                   \
    "\"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"                                                   \
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}"
#define SPECIAL(id)                                                                                          \
    "{\"added_tokens\":[{\"id\":" #id ",\"content\":\"<|end|>\",\"special\":true,\"single_word\":false,"     \
    "\"lstrip\":false,\"rstrip\":false,\"normalized\":false}],"

struct table {
    struct tokenizer *tokenizer;
    struct workers *workers;
    struct token_texts texts;
};

static void open_table(struct table *t, const char *json) {
    struct error e = {0};
    assert_ok(tokenizer_open_text(json, strlen(json), "tokenizer.json", &t->tokenizer, &e));
    assert_ok(workers_create(2, &t->workers, &e));
    assert_ok(token_texts_init(&t->texts, t->tokenizer, t->workers, &e));
}

static void close_table(struct table *t) {
    token_texts_deinit(&t->texts);
    workers_destroy(t->workers);
    tokenizer_close(t->tokenizer);
}

static void expect(const struct table *t, int32_t id, const char *expected) {
    size_t length = 99;
    const char *text = token_texts_get(&t->texts, id, &length);
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(expected));
    assert_ptr_equal(token_texts_get(&t->texts, id, NULL), text);
}

static void byte_level_bytes_that_are_no_text_are_escaped(void **state) {
    (void)state;
    struct table t;
    open_table(&t, SPECIAL(9) BYTE_LEVEL "}");
    assert_int_equal(t.texts.count, 10);
    expect(&t, 0, "a");
    expect(&t, 1, " the");
    expect(&t, 2, "bytes:\\xe2");
    expect(&t, 3, "\u20ac");
    expect(&t, 4, "bytes:\\x61\\xe2"); /* not its first half alone */
    expect(&t, 7, "\u00e9");
    expect(&t, 9, "<|end|>");
    close_table(&t);
}

static void ids_without_a_token_have_no_text(void **state) {
    (void)state;
    static const int32_t gaps[] = {INT32_MIN, -1, 5, 6, 8, 10, 512, INT32_MAX};
    struct table t;
    open_table(&t, SPECIAL(9) BYTE_LEVEL "}");
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) expect(&t, gaps[i], "");
    close_table(&t);
}

static void byte_fallback_and_blanks_in_front(void **state) {
    (void)state;
    struct table t;
    open_table(&t, SPECIAL(4) BYTE_FALLBACK "}");
    expect(&t, 0, "bytes:\\xe2");
    expect(&t, 1, "A");
    expect(&t, 2, " the"); /* the decoder strips it only at the start of a text */
    expect(&t, 3, "the");
    expect(&t, 4, "<|end|>");
    close_table(&t);
}

/* More ids than a worker takes at a time, of which each knows where it stands. */
static void a_vocabulary_of_many_tiles(void **state) {
    (void)state;
    struct error e = {0};
    struct table t;
    assert_ok(tokenizer_open(test_source_path("deploy/models/tales"), &t.tokenizer, &e));
    assert_ok(workers_create(3, &t.workers, &e));
    assert_ok(token_texts_init(&t.texts, t.tokenizer, t.workers, &e));
    assert_int_equal(t.texts.count, tokenizer_vocabulary(t.tokenizer));
    assert_true(t.texts.count > 2048);
    size_t bytes = t.texts.count * sizeof(size_t);
    for (int32_t id = 0; (size_t)id < t.texts.count; id++) {
        size_t length;
        const char *text = token_texts_get(&t.texts, id, &length);
        assert_true(length > 0 && length <= TOKEN_TEXT_BYTES_MAX);
        assert_int_equal(text[length], '\0');
        assert_int_equal(utf8_valid_prefix(text, length), length);
        bytes += length + 1;
    }
    assert_int_equal(token_texts_bytes(&t.texts), bytes);
    close_table(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_level_bytes_that_are_no_text_are_escaped),
        cmocka_unit_test(ids_without_a_token_have_no_text),
        cmocka_unit_test(byte_fallback_and_blanks_in_front),
        cmocka_unit_test(a_vocabulary_of_many_tiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
