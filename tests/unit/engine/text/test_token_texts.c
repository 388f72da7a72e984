/* The table of all tokens' texts: byte-level and byte-fallback vocabularies, special tokens, gaps between ids. */
#include "engine/text/token_texts.h"

#include <stdio.h>
#include <stdlib.h>
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
    size_t bytes = t.texts.count * (sizeof(size_t) + 1), longest = 0;
    for (int32_t id = 0; (size_t)id < t.texts.count; id++) {
        size_t length;
        const char *text = token_texts_get(&t.texts, id, &length);
        assert_true(length > 0 && length <= TOKEN_TEXT_BYTES_MAX);
        assert_int_equal(text[length], '\0');
        assert_int_equal(utf8_valid_prefix(text, length), length);
        bytes += length + 1;
        if (length > longest) longest = length;
    }
    assert_int_equal(token_texts_longest(&t.texts), longest);
    assert_int_equal(token_texts_bytes(&t.texts), bytes);
    close_table(&t);
}

static void expect_raw(const struct table *t, int32_t id, const char *bytes) {
    unsigned char raw[TOKEN_TEXT_BYTES_MAX];
    size_t length = token_texts_raw(&t->texts, t->tokenizer, id, raw);
    assert_int_equal(length, strlen(bytes));
    assert_memory_equal(raw, bytes, length);
}

static void bytes_are_those_of_the_midst_of_a_text(void **state) {
    (void)state;
    struct table t;
    open_table(&t, SPECIAL(9) BYTE_LEVEL "}");
    assert_true(token_texts_follow_each_other(t.tokenizer));
    expect_raw(&t, 1, " the");
    expect_raw(&t, 2, "\xe2");
    expect_raw(&t, 3, "\u20ac");
    expect_raw(&t, 4, "a\xe2");
    expect_raw(&t, 5, "");
    expect_raw(&t, -1, "");
    close_table(&t);
    open_table(&t, SPECIAL(4) BYTE_FALLBACK "}");
    assert_true(token_texts_follow_each_other(t.tokenizer));
    expect_raw(&t, 0, "\xe2");
    expect_raw(&t, 1, "A");
    expect_raw(&t, 2, " the");
    close_table(&t);
}

/* Tokens of a text, one behind the other, are the text. */
static void bytes_of_tokens_make_the_text(void **state) {
    (void)state;
    static const char text[] = "{\"name\": \"Z\u00fcrich \u2603 \U0001F600\",\n\t\"n\": [1, 22, 333.5e-7]}";
    struct error e = {0};
    struct table t;
    struct token_list ids = {0};
    char joined[sizeof text + TOKEN_TEXT_BYTES_MAX];
    size_t length = 0;
    assert_ok(tokenizer_open(test_source_path("deploy/models/tales"), &t.tokenizer, &e));
    assert_ok(workers_create(2, &t.workers, &e));
    assert_ok(token_texts_init(&t.texts, t.tokenizer, t.workers, &e));
    assert_ok(tokenizer_encode(t.tokenizer, text, strlen(text), false, 0, &ids, &e));
    for (size_t i = 0; i < ids.count && length < sizeof text; i++)
        length += token_texts_raw(&t.texts, t.tokenizer, ids.ids[i], (unsigned char *)joined + length);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(joined, text, length);
    free(ids.ids);
    close_table(&t);
}

static void decoders_that_join_words_are_known(void **state) {
    (void)state;
    static const char *const decoders[] = {"{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}",
                                           "{\"type\":\"Strip\",\"content\":\" \",\"start\":0,\"stop\":1}"};
    for (size_t i = 0; i < sizeof decoders / sizeof *decoders; i++) {
        struct tokenizer *tokenizer;
        struct error e = {0};
        char json[512];
        snprintf(json, sizeof json,
                 "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},\"decoder\":%s}",
                 decoders[i]);
        assert_ok(tokenizer_open_text(json, strlen(json), "tokenizer.json", &tokenizer, &e));
        assert_false(token_texts_follow_each_other(tokenizer));
        tokenizer_close(tokenizer);
    }
}

/* A token's text that the decoder can't make is no name: the same would end every answer with that token. */
static void a_decoder_that_fails_is_refused(void **state) {
    (void)state;
    struct table t;
    struct error e = {0};
    char content[5001], json[6000];
    memset(content, 'x', sizeof content - 1);
    content[sizeof content - 1] = '\0';
    snprintf(json, sizeof json,
             "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"b\":0,\"a\":600},\"merges\":[]},\"decoder\":"
             "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"%s\"}}",
             content);
    assert_ok(tokenizer_open_text(json, strlen(json), "tokenizer.json", &t.tokenizer, &e));
    assert_ok(workers_create(2, &t.workers, &e));
    assert_int_equal(token_texts_init(&t.texts, t.tokenizer, t.workers, &e), STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, "token 600: the decoder makes more than"));
    close_table(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_level_bytes_that_are_no_text_are_escaped),
        cmocka_unit_test(ids_without_a_token_have_no_text),
        cmocka_unit_test(byte_fallback_and_blanks_in_front),
        cmocka_unit_test(a_vocabulary_of_many_tiles),
        cmocka_unit_test(bytes_are_those_of_the_midst_of_a_text),
        cmocka_unit_test(bytes_of_tokens_make_the_text),
        cmocka_unit_test(decoders_that_join_words_are_known),
        cmocka_unit_test(a_decoder_that_fails_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
