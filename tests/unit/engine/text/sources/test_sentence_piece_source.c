/* tokenizer.model, written by hand: what is read of it, what the files beside it add, and what is refused. That ids are
 * those of the sentencepiece library is tests/golden/test_tokenizers.c. */
#include "tests/unit/engine/text/build.h"

#include <limits.h>
#include <unistd.h>

#include "engine/text/sources/sentence_piece_source.h"

/* ---- a model --------------------------------------------------------------------------------------------- */

static void add_varint(struct text_buffer *b, uint64_t value) {
    for (; value >= 0x80; value >>= 7) text_buffer_append_byte(b, (char)(value | 0x80));
    text_buffer_append_byte(b, (char)value);
}

static void add_number(struct text_buffer *b, uint32_t field, uint64_t value) {
    add_varint(b, (uint64_t)field << 3);
    add_varint(b, value);
}

static void add_bytes(struct text_buffer *b, uint32_t field, const char *bytes, size_t length) {
    add_varint(b, (uint64_t)field << 3 | 2);
    add_varint(b, length);
    text_buffer_append(b, bytes, length);
}

static void add_message(struct text_buffer *b, uint32_t field, struct text_buffer *message) {
    add_bytes(b, field, message->bytes ? message->bytes : "", message->length);
    text_buffer_deinit(message);
}

static void add_piece_bytes(struct text_buffer *b, const char *text, size_t length, uint32_t score_bits,
                            int type) {
    struct text_buffer piece = {0};
    add_bytes(&piece, 1, text, length);
    add_varint(&piece, 2 << 3 | 5);
    for (int i = 0; i < 4; i++) text_buffer_append_byte(&piece, (char)(score_bits >> (8 * i)));
    if (type) add_number(&piece, 3, (uint64_t)type);
    add_message(b, 1, &piece);
}

static void add_piece(struct text_buffer *b, const char *text, float score, int type) {
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    add_piece_bytes(b, text, strlen(text), bits, type);
}

enum { NORMAL = 0, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6 };

/* <unk> <s> </s> <c> and blank, a, b, ab, blank-a: 0..8. */
static struct text_buffer make_pieces(void) {
    struct text_buffer b = {0};
    add_piece(&b, "<unk>", 0, UNKNOWN);
    add_piece(&b, "<s>", 0, CONTROL);
    add_piece(&b, "</s>", 0, CONTROL);
    add_piece(&b, "<c>", 0, CONTROL);
    add_piece(&b, "\u2581", -3, NORMAL);
    add_piece(&b, "a", -2, NORMAL);
    add_piece(&b, "b", -2, NORMAL);
    add_piece(&b, "ab", -1, NORMAL);
    add_piece(&b, "\u2581a", -1.5f, NORMAL);
    return b;
}

static void set_algorithm(struct text_buffer *b, uint64_t type) {
    struct text_buffer trainer = {0};
    add_number(&trainer, 3, type);
    add_message(b, 2, &trainer);
}

static struct text_buffer make_bpe(void) {
    struct text_buffer b = make_pieces();
    set_algorithm(&b, 2);
    return b;
}

/* Takes the model; config may be NULL. */
static enum status open_model_as(const char *name, struct text_buffer *model, const char *config,
                                 struct tokenizer **out, struct error *e) {
    struct side_files side = {.config = config ? build_json(config) : NULL};
    json_t *file = NULL;
    *out = NULL;
    enum status status =
        sentence_piece_source_parse(name, model->bytes ? model->bytes : "", model->length, &side, &file, e);
    if (status == STATUS_OK) status = tokenizer_create(file, name, out, e);
    json_decref(file);
    side_files_deinit(&side);
    text_buffer_deinit(model);
    return status;
}

static enum status open_model(struct text_buffer *model, const char *config, struct tokenizer **out,
                              struct error *e) {
    return open_model_as("tokenizer.model", model, config, out, e);
}

static struct tokenizer *opened(struct text_buffer model, const char *config) {
    struct error e = {0};
    struct tokenizer *t;
    assert_ok(open_model(&model, config, &t, &e));
    return t;
}

static void refused(struct text_buffer model, const char *config, enum status status, const char *fragment) {
    struct error e = {0};
    struct tokenizer *t;
    assert_int_equal(open_model(&model, config, &t, &e), status);
    if (!strstr(e.text, fragment)) fail_msg("'%s' is not in '%s: %s'", fragment, e.where, e.text);
}

/* ---- what is read ---------------------------------------------------------------------------------------- */

static void test_both_algorithms(void **state) {
    (void)state;
    struct tokenizer *bpe = opened(make_bpe(), NULL), *unigram = opened(make_pieces(), NULL);
    expect_ids(bpe, "ab aba", false, 4, 7, 4, 7, 5); /* ab is joined before blank-a */
    expect_ids(unigram, "ab aba", false, 8, 6, 8, 6, 5);
    expect_ids(bpe, "xyz", false, 4, 0); /* one unknown for a run */
    expect_ids(unigram, "axya", false, 8, 0, 5);
    expect_text(bpe, false, "ab aba", 4, 7, 4, 7, 5);
    expect_text(bpe, false, "a<s> a", 8, 1, 8);
    expect_text(bpe, true, "a a", 8, 1, 8);
    tokenizer_close(bpe);
    tokenizer_close(unigram);
}

/* Where no class is named nothing is added unless it is asked for, and the tokens are the model's own. */
static void test_special_tokens_without_a_class(void **state) {
    (void)state;
    struct tokenizer *t = opened(make_bpe(), "{'add_bos_token': true, 'add_eos_token': true}");
    expect_ids(t, "a<c>b</s>", true, 1, 8, 3, 4, 6, 2, 2);
    assert_true(tokenizer_is_special(t, 3));
    tokenizer_close(t);
    t = opened(make_bpe(), "{'pad_token': '<new>'}");
    expect_ids(t, "<new>", true, 9);
    tokenizer_close(t);
}

static void test_classes(void **state) {
    (void)state;
    struct tokenizer *t = opened(make_bpe(), "{'tokenizer_class': 'LlamaTokenizer'}");
    expect_ids(t, "a", true, 1, 8);
    expect_ids(t, "a", false, 8);
    tokenizer_close(t);
    t = opened(make_bpe(),
               "{'tokenizer_class': 'LlamaTokenizerFast', 'add_bos_token': false, 'add_eos_token': true, "
               "'add_prefix_space': false}");
    expect_ids(t, "a", true, 5, 2);
    tokenizer_close(t);
    t = opened(make_bpe(), "{'tokenizer_class': 'LlamaTokenizer', 'legacy': false}");
    expect_ids(t, "a<s>a a", false, 8, 1, 5, 8); /* only the whole text has the blank before it */
    tokenizer_close(t);
    refused(make_bpe(), "{'tokenizer_class': 'GPT2Tokenizer'}", STATUS_UNSUPPORTED,
            "'GPT2Tokenizer' does not read");
    refused(make_bpe(), "{'tokenizer_class': 'XLNetTokenizer'}", STATUS_UNSUPPORTED,
            "'XLNetTokenizer' is not supported");
    refused(make_bpe(), "{'tokenizer_class': 'T5Tokenizer'}", STATUS_UNSUPPORTED,
            "T5Tokenizer reads a spiece.model, and there is a tokenizer.model");
}

/* Pieces of the model from the third on have ids one higher; the texts that fairseq has before them are no pieces. */
static void test_ids_of_fairseq(void **state) {
    (void)state;
    static const char config[] = "{'tokenizer_class': 'XGLMTokenizer', 'add_bos_token': true}";
    struct text_buffer model = make_bpe();
    struct error e = {0};
    struct tokenizer *t;
    assert_ok(open_model_as("sentencepiece.bpe.model", &model, config, &t, &e));
    expect_ids(t, "ab aba", true, 2, 5, 8, 5, 8, 6); /* </s> in front, whatever the flag */
    expect_ids(t, "<pad>x<madeupword6></s>", false, 1, 5, 3, 16, 2);
    assert_int_equal(tokenizer_vocabulary(t), 17);
    tokenizer_close(t);
}

static void refused_as(const char *name, struct text_buffer model, const char *config, const char *fragment) {
    struct error e = {0};
    struct tokenizer *t;
    assert_int_equal(open_model_as(name, &model, config, &t, &e), STATUS_UNSUPPORTED);
    if (!strstr(e.text, fragment)) fail_msg("'%s' is not in '%s: %s'", fragment, e.where, e.text);
}

static void test_models_that_fairseq_has_not(void **state) {
    (void)state;
    static const char config[] = "{'tokenizer_class': 'XGLMTokenizer'}", name[] = "sentencepiece.bpe.model";
    struct text_buffer other = {0}, pad = make_bpe(), word = make_bpe();
    add_piece(&other, "<s>", 0, CONTROL);
    add_piece(&other, "<unk>", 0, UNKNOWN);
    add_piece(&other, "</s>", 0, CONTROL);
    refused_as(name, other, config, "piece 0 is not <unk>");
    add_piece(&pad, "<pad>", 0, CONTROL);
    refused_as(name, pad, config, "piece 9 is one that XGLMTokenizer adds");
    add_piece(&word, "<madeupword2>", 0, NORMAL);
    refused_as(name, word, config, "piece 9 is one that XGLMTokenizer adds");
}

static void test_extra_ids(void **state) {
    (void)state;
    struct text_buffer model = make_bpe();
    struct error e = {0};
    struct tokenizer *t;
    assert_ok(
        open_model_as("spiece.model", &model, "{'tokenizer_class': 'T5Tokenizer', 'extra_ids': 2}", &t, &e));
    expect_ids(t, "a <extra_id_1> <extra_id_0>", true, 8, 9, 10,
               2); /* the last first; blanks around them go */
    tokenizer_close(t);
    refused_as("spiece.model", make_bpe(),
               "{'tokenizer_class': 'T5Tokenizer', 'additional_special_tokens': ['<extra_id_0>']}",
               "extra_ids: 100, but additional_special_tokens has 1");
    model = make_bpe();
    assert_int_equal(
        open_model_as("spiece.model", &model, "{'tokenizer_class': 'T5Tokenizer', 'extra_ids': -1}", &t, &e),
        STATUS_MALFORMED);
    assert_non_null(strstr(e.text, "extra_ids: expected an integer from 0 to"));
}

static void test_clean_texts(void **state) {
    (void)state;
    struct text_buffer model = make_bpe();
    struct error e = {0};
    struct tokenizer *t;
    assert_ok(open_model_as("spiece.model", &model, "{'tokenizer_class': 'GPTSw3Tokenizer'}", &t, &e));
    expect_ids(t, "\u00ada\u200bb\u3000a\r", true, 4, 7,
               8); /* soft hyphen and such go, a wide blank is a blank */
    tokenizer_close(t);
}

static void test_ids_of_added_tokens(void **state) {
    (void)state;
    struct tokenizer *t =
        opened(make_bpe(), "{'added_tokens_decoder': {'9': {'content': '<x>'}, '10': {'content': "
                           "'<y>'}, '3': {'content': '<c>'}}}");
    expect_ids(t, "<y><x><c>", false, 10, 9, 3);
    tokenizer_close(t);
    refused(make_bpe(), "{'added_tokens_decoder': {'12': {'content': '<x>'}}}", STATUS_UNSUPPORTED,
            "added_tokens_decoder.12: '<x>' gets the id 9");
    refused(make_bpe(), "{'added_tokens_decoder': {'9': {'content': 'ab'}}}", STATUS_UNSUPPORTED,
            "gets the id 7");
}

/* ---- what is refused ------------------------------------------------------------------------------------- */

static struct text_buffer with_piece(const char *text, size_t length, uint32_t score_bits, int type) {
    struct text_buffer b = make_bpe();
    add_piece_bytes(&b, text, length, score_bits, type);
    return b;
}

static void test_pieces_that_are_none(void **state) {
    (void)state;
    char *long_text = malloc(8000);
    memset(long_text, 0x61, 8000);
    refused(with_piece("", 0, 0, NORMAL), NULL, STATUS_MALFORMED, "piece 9 is empty");
    refused(with_piece("a\0b", 3, 0, NORMAL), NULL, STATUS_MALFORMED, "piece 9 has a NUL");
    refused(with_piece("\xFF", 1, 0, NORMAL), NULL, STATUS_MALFORMED, "piece 9 is not UTF-8");
    refused(with_piece(long_text, 8000, 0, NORMAL), NULL, STATUS_MALFORMED, "piece 9 is too long");
    refused(with_piece("x", 1, 0x7FC00000, NORMAL), NULL, STATUS_MALFORMED, "not a number");
    refused(with_piece("x", 1, 0xFF800000, NORMAL), NULL, STATUS_MALFORMED, "not a number");
    refused(with_piece("ab", 2, 0, NORMAL), NULL, STATUS_MALFORMED, "pieces 7 and 9 are the same");
    refused(with_piece("x", 1, 0, 7), NULL, STATUS_UNSUPPORTED, "a piece of type 7");
    refused(with_piece("x", 1, 0, UNKNOWN), NULL, STATUS_MALFORMED, "2 pieces are the unknown one");
    refused(with_piece("<0x00>", 6, 0, BYTE), NULL, STATUS_MALFORMED, "byte_fallback is false");
    free(long_text);
}

static void test_models_that_are_none(void **state) {
    (void)state;
    struct text_buffer empty = {0}, lines = {0}, bytes = make_bpe(), words = make_pieces(),
                       letters = make_pieces();
    refused(empty, NULL, STATUS_MALFORMED, "no pieces");
    text_buffer_append(&lines, "IQ== 0\nIg== 1\n", 14); /* what tiktoken writes under the same name */
    refused(lines, NULL, STATUS_MALFORMED, "no ");
    set_algorithm(&words, 3);
    refused(words, NULL, STATUS_UNSUPPORTED, "words (model_type 3)");
    set_algorithm(&letters, 4);
    refused(letters, NULL, STATUS_UNSUPPORTED, "characters");
    struct text_buffer trainer = {0};
    add_number(&trainer, 35, 1);
    add_message(&bytes, 2, &trainer);
    refused(bytes, NULL, STATUS_MALFORMED, "0 of 256 bytes");
}

static void test_normalizers_that_are_none(void **state) {
    (void)state;
    struct text_buffer model = make_bpe(), rules = {0};
    add_bytes(&rules, 2, "\x04\0\0\0abcd", 8);
    add_message(&model, 3, &rules);
    refused(model, NULL, STATUS_MALFORMED, "a trie of 4 bytes");
    model = make_bpe();
    add_number(&rules, 7, 1);
    add_message(&model, 3, &rules);
    refused(model, NULL, STATUS_UNSUPPORTED, "normalizer_spec has a field 7");
}

/* ---- folders --------------------------------------------------------------------------------------------- */

/* transformers reads tokenizer.model, whatever tokenizer.json there is, where LlamaTokenizer has add_prefix_space. */
static void test_the_file_that_is_read(void **state) {
    (void)state;
    char *folder = test_folder_create();
    struct text_buffer model = make_bpe();
    struct error e = {0};
    struct tokenizer *t;
    test_file_write(folder, "tokenizer.model", model.bytes, model.length);
    text_buffer_deinit(&model);
    assert_ok(tokenizer_open(folder, &t, &e));
    assert_int_equal(tokenizer_vocabulary(t), 9);
    tokenizer_close(t);
    build_write(folder, "tokenizer.json",
                "{'model': {'type': 'WordLevel', 'vocab': {'a': 0}, 'unk_token': 'a'}}");
    assert_ok(tokenizer_open(folder, &t, &e));
    assert_int_equal(tokenizer_vocabulary(t), 1);
    tokenizer_close(t);
    build_write(folder, "tokenizer_config.json",
                "{'tokenizer_class': 'LlamaTokenizer', 'add_prefix_space': true}");
    assert_ok(tokenizer_open(folder, &t, &e));
    assert_int_equal(tokenizer_vocabulary(t), 9);
    tokenizer_close(t);
    test_folder_remove(folder);
}

/* Under another name a model is read by a class that reads it, and of no class it says what is missing. */
static void test_models_of_other_names(void **state) {
    (void)state;
    char *folder = test_folder_create();
    struct text_buffer model = make_bpe();
    struct error e = {0};
    struct tokenizer *t;
    test_file_write(folder, "spiece.model", model.bytes, model.length);
    text_buffer_deinit(&model);
    assert_int_equal(tokenizer_open(folder, &t, &e), STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, "reads a tokenizer.model, and there is a spiece.model"));
    build_write(folder, "config.json", "{'model_type': 'xglm'}");
    assert_int_equal(tokenizer_open(folder, &t, &e), STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, "reads a sentencepiece.bpe.model, and there is a spiece.model"));
    build_write(folder, "tokenizer_config.json", "{'tokenizer_class': 'T5Tokenizer', 'extra_ids': 0}");
    assert_ok(tokenizer_open(folder, &t, &e));
    expect_ids(t, "a", true, 8, 2);
    tokenizer_close(t);
    test_folder_remove(folder);
}

/* A link that leads nowhere is no absent file: what was meant is not guessed. */
static void test_a_link_that_leads_nowhere(void **state) {
    (void)state;
    char *folder = test_folder_create(), path[PATH_MAX];
    struct text_buffer model = make_bpe();
    struct error e = {0};
    struct tokenizer *t;
    test_file_write(folder, "tokenizer.model", model.bytes, model.length);
    text_buffer_deinit(&model);
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    assert_int_equal(symlink("gone", path), 0);
    assert_int_equal(tokenizer_open(folder, &t, &e), STATUS_IO);
    assert_non_null(strstr(e.where, "tokenizer.json"));
    assert_non_null(strstr(e.text, "a symbolic link to a file that does not exist"));
    test_folder_remove(folder);
}

/* A converted file keeps the text of it. */
static void test_its_text_says_the_same(void **state) {
    (void)state;
    char *folder = test_folder_create(), *text;
    struct text_buffer model = make_bpe();
    struct error e = {0};
    struct tokenizer *t;
    size_t length;
    test_file_write(folder, "tokenizer.model", model.bytes, model.length);
    text_buffer_deinit(&model);
    build_write(folder, "tokenizer_config.json", "{'tokenizer_class': 'LlamaTokenizer'}");
    assert_ok(tokenizer_read_text(folder, &text, &length, &e));
    assert_ok(tokenizer_open_text(text, length, "tokenizer.json", &t, &e));
    expect_ids(t, "ab aba", true, 1, 4, 7, 4, 7, 5);
    tokenizer_close(t);
    free(text);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_algorithms),
        cmocka_unit_test(test_special_tokens_without_a_class),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_ids_of_fairseq),
        cmocka_unit_test(test_models_that_fairseq_has_not),
        cmocka_unit_test(test_extra_ids),
        cmocka_unit_test(test_clean_texts),
        cmocka_unit_test(test_ids_of_added_tokens),
        cmocka_unit_test(test_pieces_that_are_none),
        cmocka_unit_test(test_models_that_are_none),
        cmocka_unit_test(test_normalizers_that_are_none),
        cmocka_unit_test(test_the_file_that_is_read),
        cmocka_unit_test(test_models_of_other_names),
        cmocka_unit_test(test_a_link_that_leads_nowhere),
        cmocka_unit_test(test_its_text_says_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
