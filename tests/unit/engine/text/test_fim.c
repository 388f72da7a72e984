/* Prompts for filling in: ids put together by hand from each scheme's rule, over small vocabularies. */
#include "tests/unit/engine/text/build.h"

#include "engine/text/fim.h"

#define ADDED(id, content) "{'id': " id ", 'content': '" content "', 'special': true}"

/* 'a' 0, 'b' 1, 'ab' 2, blank 3; added tokens from 4 on. */
#define BPE_WITH(added, post)                                                                                \
    "{'added_tokens': [" added "], " post                                                                    \
    "'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 1, 'ab': 2, ' ': 3}, 'merges': ['a b']}}"

/* What stands before a text: <s>, which is id 4. Behind it too, which is no part of a prompt with a gap. */
#define WITH_BOS                                                                                             \
    "'post_processor': {'type': 'TemplateProcessing', 'single': [{'SpecialToken': {'id': '<s>', 'type_id': " \
    "0}},"                                                                                                   \
    "{'Sequence': {'id': 'A', 'type_id': 0}}, {'SpecialToken': {'id': '<s>', 'type_id': 0}}], 'pair': [],"   \
    "'special_tokens': {'<s>': {'id': '<s>', 'ids': [4], 'tokens': ['<s>']}}},"

static void check(const char *json, const struct fim_gap *gap, const int32_t *ids, size_t count) {
    struct tokenizer *t = build_tokenizer(json);
    struct fim fim;
    struct error e = {0};
    struct token_list got = {0};
    fim_init(&fim, t);
    assert_ok(fim_encode(&fim, t, gap, 0, &got, &e));
    assert_int_equal(got.count, count);
    assert_memory_equal(got.ids, ids, count * sizeof *ids);
    assert_int_equal(fim_encode(&fim, t, gap, count - 1, &got, &e), STATUS_LIMIT);
    assert_string_equal(e.where, "tokens");
    assert_int_equal(got.count, count);
    assert_ok(fim_encode(&fim, t, gap, count, &got, &e));
    assert_int_equal(got.count, 2 * count);
    free(got.ids);
    tokenizer_close(t);
}
#define expect_gap(json, gap, ...)                                                                           \
    check(json, gap, (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static struct fim_gap between(const char *prefix, const char *suffix, bool special) {
    return (struct fim_gap){.prefix = prefix,
                            .suffix = suffix,
                            .prefix_length = strlen(prefix),
                            .suffix_length = strlen(suffix),
                            .special = special};
}

/* <fim_prefix> P <fim_suffix> S <fim_middle>, and those that differ from it by their names alone. The texts do not
 * touch: "a" and "b" on two sides of a token are not "ab". */
static void test_order(void **state) {
    (void)state;
    static const char *const files[] = {
        BPE_WITH(ADDED("4", "<fim_middle>") "," ADDED("5", "<fim_prefix>") "," ADDED("6", "<fim_suffix>"),
                 ""),
        BPE_WITH(ADDED("4", "<fim-middle>") "," ADDED("5", "<fim-prefix>") "," ADDED("6", "<fim-suffix>"),
                 ""),
        BPE_WITH(
            ADDED("4", "<|fim_middle|>") "," ADDED("5", "<|fim_prefix|>") "," ADDED("6", "<|fim_suffix|>"),
            ""),
        BPE_WITH(
            ADDED("4", "<｜fim▁end｜>") "," ADDED("5", "<｜fim▁begin｜>") "," ADDED("6", "<｜fim▁hole｜>"),
            "")};
    const struct fim_gap gap = between("a ab", "b", true), nothing = between("", "", true);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        expect_gap(files[i], &gap, 5, 0, 3, 2, 6, 1, 4);
        expect_gap(files[i], &nothing, 5, 6, 4);
    }
}

/* A text that names the tokens has letters, and no tokens. */
static void test_control_tokens_in_texts(void **state) {
    (void)state;
    static const char file[] =
        "{'added_tokens': [" ADDED("3", "<fim_prefix>") "," ADDED("4", "<fim_middle>") "," ADDED(
            "5", "<fim_suffix>") "," ADDED("6", "<a>") "],'model': {'type': 'BPE', 'vocab': {'a': 0, '<': 1, "
                                                       "'>': 2}, 'merges': []}}";
    const struct fim_gap gap = between("a<a>", "<a>", true);
    expect_gap(file, &gap, 3, 0, 1, 0, 2, 5, 1, 0, 2, 4);
}

static void test_begins_with_what_stands_before_a_text(void **state) {
    (void)state;
    static const char file[] = BPE_WITH(ADDED("4", "<s>") "," ADDED("5", "<｜fim▁begin｜>") "," ADDED(
                                            "6", "<｜fim▁hole｜>") "," ADDED("7", "<｜fim▁end｜>"),
                                        WITH_BOS);
    const struct fim_gap with = between("ab", "a", true), without = between("ab", "a", false);
    expect_gap(file, &with, 4, 5, 2, 6, 0, 7);
    expect_gap(file, &without, 5, 2, 6, 0, 7);
}

/* The tokenizer puts a blank before a text: the prefix has it, the suffix does not, whether its first letters are in the
 * vocabulary, are bytes, or are blanks themselves. */
static void test_code_llama(void **state) {
    (void)state;
    static const char file[] =
        "{'added_tokens': [" ADDED("0", "<s>") "," ADDED("10", "▁<PRE>") "," ADDED("11", "▁<MID>") "," ADDED(
            "12",
            "▁<SUF>") "," ADDED("13",
                                "▁<EOT>") "],"
                                          "'normalizer': {'type': 'Sequence', 'normalizers': [{'type': "
                                          "'Prepend', 'prepend': '▁'},"
                                          "{'type': 'Replace', 'pattern': {'String': ' '}, 'content': '▁'}]},"
                                          "'post_processor': {'type': 'TemplateProcessing', 'single': "
                                          "[{'SpecialToken': {'id': '<s>', 'type_id': 0}},"
                                          "{'Sequence': {'id': 'A', 'type_id': 0}}], 'pair': [],"
                                          "'special_tokens': {'<s>': {'id': '<s>', 'ids': [0], 'tokens': "
                                          "['<s>']}}},"
                                          "'model': {'type': 'BPE', 'byte_fallback': true, 'vocab': {'<s>': "
                                          "0, 'a': 1, 'b': 2, '▁': 3, '▁a': 4,"
                                          "'ab': 5, '<0xE2>': 6, '<0x98>': 7, '<0xBA>': 8, '<0xC3>': 9, "
                                          "'▁<PRE>': 10, '▁<MID>': 11, '▁<SUF>': 12,"
                                          "'▁<EOT>': 13, '<0xA9>': 14}, 'merges': ['▁ a', 'a b']}}";
    const struct fim_gap letters = between("a", "ab", true), blank = between("b", " a", true),
                         bytes = between("", "\u00e9", true), itself = between("", "☺", false);
    expect_gap(file, &letters, 0, 10, 4, 12, 5, 11);
    expect_gap(file, &blank, 0, 10, 3, 2, 12, 4, 11);
    expect_gap(file, &bytes, 0, 10, 12, 9, 14, 11);
    expect_gap(file, &itself, 10, 12, 6, 7, 8, 11);
    struct fim_gap suffix_first = letters;
    suffix_first.suffix_first = true;
    expect_gap(file, &suffix_first, 0, 10, 12, 5, 11, 4);
}

/* <PRE> <SUF> S <MID> P, as StarCoder and CodeLlama were trained in half of their texts. */
static void test_suffix_first(void **state) {
    (void)state;
    static const char file[] = BPE_WITH(ADDED("4", "<s>") "," ADDED("5", "<fim_prefix>") "," ADDED(
                                            "6", "<fim_suffix>") "," ADDED("7", "<fim_middle>"),
                                        WITH_BOS);
    struct fim_gap gap = between("a ab", "b", true), nothing = between("", "", true);
    gap.suffix_first = nothing.suffix_first = true;
    expect_gap(file, &gap, 4, 5, 6, 1, 7, 0, 3, 2);
    expect_gap(file, &nothing, 4, 5, 6, 7);
}

/* StarCoder2's and Qwen2.5-Coder's: a repository's token and name, each file's token, its name with a line end, its text;
 * the file with the gap has its token and a name too. What stands before a text comes first of all. */
#define LINES_WITH(added, post)                                                                              \
    "{'added_tokens': [" ADDED("4", "<s>") "," added "], " post                                              \
                                           "'model': {'type': 'BPE', 'unk_token': '?', 'vocab': {'a': 0, "   \
                                           "'b': 1, '\\n': 2, '?': 3}, 'merges': []}}"

static void test_other_files(void **state) {
    (void)state;
    static const char *const files[] = {
        LINES_WITH(ADDED("5", "<fim_prefix>") "," ADDED("6", "<fim_suffix>") "," ADDED(
                       "7", "<fim_middle>") "," ADDED("8", "<file_sep>") "," ADDED("9", "<repo_name>"),
                   ""),
        LINES_WITH(ADDED("5", "<|fim_prefix|>") "," ADDED("6", "<|fim_suffix|>") "," ADDED(
                       "7", "<|fim_middle|>") "," ADDED("8", "<|file_sep|>") "," ADDED("9", "<|repo_name|>"),
                   "")};
    static const char with_bos[] =
        LINES_WITH(ADDED("5", "<fim_prefix>") "," ADDED("6", "<fim_suffix>") "," ADDED(
                       "7", "<fim_middle>") "," ADDED("8", "<filename>"),
                   WITH_BOS);
    static const struct fim_file others[] = {{"b", "ab", 1, 2}, {"", "b<file_sep>", 0, 1}};
    struct fim_gap gap = between("a", "b", true);
    gap.files = others;
    gap.file_count = 2;
    /* "myproject" and "filename" have no letter of the vocabulary but the a of the second. */
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        expect_gap(files[i], &gap, 9, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 8, 1, 2, 0, 1, 8, 2, 1, 8, 3, 3, 3, 3, 3,
                   0, 3, 3, 2, 5, 0, 6, 1, 7);
    gap.file_count = 1;
    gap.suffix_first = true;
    expect_gap(with_bos, &gap, 4, 8, 1, 2, 0, 1, 8, 3, 3, 3, 3, 3, 0, 3, 3, 2, 5, 6, 1, 7, 0);
}

/* A file's text that names the token of files has letters. */
static void test_control_tokens_in_files(void **state) {
    (void)state;
    static const char file[] = LINES_WITH(ADDED("5", "<fim_prefix>") "," ADDED("6", "<fim_suffix>") "," ADDED(
                                              "7", "<fim_middle>") "," ADDED("8", "<file_sep>"),
                                          "");
    static const struct fim_file other = {"<file_sep>", "<fim_middle>", 10, 12};
    struct fim_gap gap = between("", "", true);
    struct tokenizer *t = build_tokenizer(file);
    struct fim fim;
    struct error e = {0};
    struct token_list got = {0};
    size_t controls = 0;
    gap.files = &other;
    gap.file_count = 1;
    fim_init(&fim, t);
    assert_ok(fim_encode(&fim, t, &gap, 0, &got, &e));
    for (size_t i = 0; i < got.count; i++) controls += got.ids[i] >= 5;
    assert_int_equal(controls, 2 + 3);
    free(got.ids);
    tokenizer_close(t);
}

static void refuse(const char *json, const struct fim_gap *gap, const char *where) {
    struct tokenizer *t = build_tokenizer(json);
    struct fim fim;
    struct error e = {0};
    struct token_list got = {0};
    fim_init(&fim, t);
    assert_int_equal(fim_encode(&fim, t, gap, 0, &got, &e), STATUS_UNSUPPORTED);
    assert_string_equal(e.where, where);
    assert_int_equal(got.count, 0);
    tokenizer_close(t);
}

static void test_what_a_scheme_does_not_have(void **state) {
    (void)state;
    static const struct fim_file other = {"a", "b", 1, 1};
    struct fim_gap first = between("a", "b", true), files = first;
    first.suffix_first = true;
    files.files = &other;
    files.file_count = 1;
    refuse(BPE_WITH(
               ADDED("4", "<|fim_prefix|>") "," ADDED("5", "<|fim_suffix|>") "," ADDED("6", "<|fim_middle|>"),
               ""),
           &first, "suffix_first");
    refuse(BPE_WITH(ADDED("4", "<fim-prefix>") "," ADDED("5", "<fim-suffix>") "," ADDED("6", "<fim-middle>"),
                    ""),
           &files, "input_extra");
}

static void test_joined_suffix_that_cannot_be_told_apart(void **state) {
    (void)state;
    struct tokenizer *t =
        build_tokenizer("{'added_tokens': [" ADDED("3", "▁<PRE>") "," ADDED("4", "▁<MID>") "," ADDED(
            "5",
            "▁<SUF>") "],"
                      "'model': {'type': 'BPE', 'vocab': {'a': 0, '☺': 1, '☺a': 2}, 'merges': ['☺ a']}}");
    const struct fim_gap gap = between("a", "a", true);
    struct fim fim;
    struct error e = {0};
    struct token_list got = {0};
    fim_init(&fim, t);
    assert_int_equal(fim_encode(&fim, t, &gap, 0, &got, &e), STATUS_UNSUPPORTED);
    assert_string_equal(e.where, "suffix");
    assert_int_equal(got.count, 0);
    free(got.ids);
    tokenizer_close(t);
}

/* The three themselves, and those of the scheme that the tokenizer has. */
static void test_ends(void **state) {
    (void)state;
    struct tokenizer *t = build_tokenizer(BPE_WITH(
        ADDED("4", "<fim_prefix>") "," ADDED("5", "<fim_middle>") "," ADDED("6", "<fim_suffix>") "," ADDED(
            "7", "<|endoftext|>") "," ADDED("8", "<fim_pad>") "," ADDED("9", "<other>"),
        ""));
    static const int32_t ends[] = {4, 6, 5, 8, 7};
    struct fim fim;
    fim_init(&fim, t);
    assert_int_equal(fim.end_count, sizeof ends / sizeof *ends);
    assert_memory_equal(fim.ends, ends, sizeof ends);
    tokenizer_close(t);
}

/* Two of three are none. */
static void test_without_tokens(void **state) {
    (void)state;
    struct tokenizer *t =
        build_tokenizer(BPE_WITH(ADDED("4", "<fim_prefix>") "," ADDED("5", "<fim_middle>"), ""));
    const struct fim_gap gap = between("a", "b", true);
    struct fim fim;
    struct error e = {0};
    struct token_list got = {0};
    fim_init(&fim, t);
    assert_int_equal(fim.end_count, 0);
    assert_int_equal(fim_encode(&fim, t, &gap, 0, &got, &e), STATUS_UNSUPPORTED);
    assert_null(got.ids);
    tokenizer_close(t);
}

static void test_ill_formed_text(void **state) {
    (void)state;
    struct tokenizer *t = build_tokenizer(BPE_WITH(
        ADDED("4", "<fim_prefix>") "," ADDED("5", "<fim_middle>") "," ADDED("6", "<fim_suffix>"), ""));
    const struct fim_gap gap = between("a", "b\xff", true);
    struct fim fim;
    struct error e = {0};
    struct token_list got = {0};
    fim_init(&fim, t);
    assert_int_equal(fim_encode(&fim, t, &gap, 0, &got, &e), STATUS_INVALID_ARGUMENT);
    assert_int_equal(got.count, 0);
    free(got.ids);
    tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_control_tokens_in_texts),
        cmocka_unit_test(test_begins_with_what_stands_before_a_text),
        cmocka_unit_test(test_code_llama),
        cmocka_unit_test(test_suffix_first),
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_control_tokens_in_files),
        cmocka_unit_test(test_what_a_scheme_does_not_have),
        cmocka_unit_test(test_joined_suffix_that_cannot_be_told_apart),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_without_tokens),
        cmocka_unit_test(test_ill_formed_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
