/* The models of types "SentencePiece" and "CTRL" as a converted file has them: what is refused. Their ids are compared
 * with those of other libraries in tests/golden/test_tokenizers.c. */
#include "tests/unit/engine/text/build.h"

static void refused(const char *model, enum status status, const char *fragment) {
    char text[1024], said[ERROR_LINE_BYTES];
    struct error e = {0};
    struct tokenizer *t;
    snprintf(text, sizeof text, "{'model': %s}", model);
    assert_int_equal(build_open(text, &t, &e), status);
    error_format(&e, said, sizeof said);
    if (!strstr(said, fragment)) fail_msg("'%s' is not in '%s'", fragment, said);
}

#define PIECES "{'type': 'SentencePiece', 'algorithm': 'BPE', "

static void test_pieces(void **state) {
    (void)state;
    refused(PIECES "'vocab': {}}", STATUS_MALFORMED, "vocab");
    refused(PIECES "'vocab': ['a', 7]}", STATUS_MALFORMED, "vocab[1]: expected the text");
    refused(PIECES "'vocab': ['a', '']}", STATUS_MALFORMED, "vocab[1]: expected the text");
    refused(PIECES "'vocab': ['a', 'a']}", STATUS_MALFORMED, "vocab[1]: was there before");
    refused("{'type': 'SentencePiece', 'algorithm': 'Word', 'vocab': ['a']}", STATUS_UNSUPPORTED, "'Word'");
    refused("{'type': 'SentencePiece', 'vocab': ['a']}", STATUS_MALFORMED, "algorithm");
}

static void test_types_and_scores(void **state) {
    (void)state;
    refused(PIECES "'vocab': ['a', 'b']}", STATUS_MALFORMED, "types");
    refused(PIECES "'vocab': ['a', 'b'], 'types': 'x'}", STATUS_MALFORMED, "1 letters for 2 pieces");
    refused(PIECES "'vocab': ['a', 'b'], 'types': 'x?'}", STATUS_MALFORMED, "'?' is not a type");
    refused(PIECES "'vocab': ['a', 'b'], 'types': 'nn'}", STATUS_MALFORMED, "0 pieces are the unknown one");
    refused(PIECES "'vocab': ['a', 'b'], 'types': 'xx'}", STATUS_MALFORMED, "2 pieces are the unknown one");
    refused(PIECES "'vocab': ['a', 'b'], 'types': 'xn', 'scores': [0]}", STATUS_MALFORMED, "1 scores for 2");
    refused(PIECES "'vocab': ['a', 'b'], 'types': 'xn', 'scores': [0, 'b']}", STATUS_MALFORMED, "scores[1]");
    refused(PIECES "'vocab': ['a', 'b'], 'types': 'xn', 'scores': [0, 1e39]}", STATUS_MALFORMED,
            "single precision");
    refused(PIECES "'vocab': ['a', 'b'], 'types': 'xn', 'scores': [0, 1], 'byte_fallback': true}",
            STATUS_MALFORMED, "the byte 0 has no piece");
}

static void test_words(void **state) {
    (void)state;
    refused("{'type': 'CTRL', 'vocab': {'a': 0}}", STATUS_MALFORMED, "words");
    refused("{'type': 'CTRL', 'vocab': {'a': 0}, 'words': {}}", STATUS_MALFORMED, "unk_token");
    refused("{'type': 'CTRL', 'vocab': {'a': 0}, 'words': {}, 'unk_token': 'b'}", STATUS_MALFORMED,
            "'b' is not in the vocabulary");
    refused("{'type': 'CTRL', 'vocab': {'a': 0}, 'words': {'merges': [['a', 7]]}, 'unk_token': 'a'}",
            STATUS_MALFORMED, "merges[0]");
}

/* A user-defined piece is never joined, and an unused one is taken apart again. */
static void test_types_of_pieces(void **state) {
    (void)state;
    struct tokenizer *t = build_tokenizer("{'model': " PIECES
                                          "'vocab': ['?', 'a', 'b', 'ab', 'abab', 'ba'], 'types': 'xnnono', "
                                          "'scores': [0, -9, -9, -1, -2, -3]}}");
    expect_ids(t, "abab", false, 4);
    expect_ids(t, "ab", false, 1, 2);
    expect_ids(t, "aba", false, 1, 2, 1);
    tokenizer_close(t);
    t = build_tokenizer("{'model': " PIECES "'vocab': ['?', 'a', 'b', 'ab', 'bb', 'aba'], 'types': 'xnnnun', "
                        "'scores': [0, -9, -9, -1, 0, -3]}}");
    expect_ids(t, "abba", false, 1, 4, 1);
    expect_ids(t, "aba", false, 5);
    expect_ids(t, "xyaz", false, 0, 1, 0);
    tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_types_and_scores),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_types_of_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
