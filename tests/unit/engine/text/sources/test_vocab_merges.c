#include "tests/unit/engine/text/build.h"

#include "engine/text/pretokenize/byte_level.h"
#include "engine/text/sources/vocab_merges.h"

enum { BYTES = 256, FIRST_EXTRA = BYTES };

/* vocab.json of the 256 bytes in order, then the given tokens. */
static void write_vocabulary(const char *folder, const char *const *extra, size_t count) {
    struct error e = {0};
    json_t *vocab = json_object();
    char path[2048];
    for (int byte = 0; byte < BYTES; byte++) {
        struct text_buffer content = {0};
        char raw = (char)byte;
        byte_level_append(&content, &raw, 1);
        text_buffer_append_byte(&content, '\0');
        assert_ok(text_buffer_status(&content, &e));
        json_object_set_new(vocab, content.bytes, json_integer(byte));
        text_buffer_deinit(&content);
    }
    for (size_t i = 0; i < count; i++)
        json_object_set_new(vocab, extra[i], json_integer(FIRST_EXTRA + (int)i));
    snprintf(path, sizeof path, "%s/vocab.json", folder);
    assert_int_equal(json_dump_file(vocab, path, 0), 0);
    json_decref(vocab);
}

/* A folder with a vocabulary of <pad>, </s>, ab, <|endoftext|> (256..259) and one merge. */
static char *make_folder(void) {
    static const char *const extra[] = {"<pad>", "</s>", "ab", "<|endoftext|>"};
    static const char merges[] = "#version: 0.2\r\na b\r\n\n";
    char *folder = test_folder_create();
    write_vocabulary(folder, extra, 4);
    test_file_write(folder, "merges.txt", merges, sizeof merges - 1);
    return folder;
}

static struct tokenizer *open_folder(const char *folder) {
    struct error e = {0};
    struct tokenizer *t;
    assert_ok(tokenizer_open(folder, &t, &e));
    return t;
}

static void expect_refused(const char *folder, enum status status, const char *fragment) {
    struct error e = {0};
    struct tokenizer *t;
    assert_int_equal(tokenizer_open(folder, &t, &e), status);
    if (!strstr(e.text, fragment) && !strstr(e.where, fragment)) fail_msg("'%s: %s'", e.where, e.text);
}

static void test_two_files_alone(void **state) {
    (void)state;
    char *folder = make_folder();
    struct tokenizer *t = open_folder(folder);
    expect_ids(t, "abba<|endoftext|> a", true, 258, 'b', 'a', 259, ' ', 'a');
    expect_text(t, false, "ab<|endoftext|>", 258, 259);
    expect_text(t, true, "ab", 258, 259); /* the default end token is special */
    tokenizer_close(t);
    test_folder_remove(folder);
}

/* As OPT is published: a beginning token is added, special tokens are named, one of them new. */
static void test_tokens_of_the_other_files(void **state) {
    (void)state;
    char *folder = make_folder();
    build_write(
        folder, "tokenizer_config.json",
        "{'tokenizer_class': 'GPT2Tokenizer', 'add_bos_token': true, 'add_prefix_space': true, 'bos_token': "
        "{'content': '</s>', 'lstrip': false, 'rstrip': true}, 'unk_token': '</s>'}");
    build_write(folder, "special_tokens_map.json",
                "{'pad_token': '<pad>', 'additional_special_tokens': ['<extra>']}");
    build_write(folder, "added_tokens.json", "{'<new>': 260, 'b': 98}");
    struct tokenizer *t = open_folder(folder);
    assert_int_equal(tokenizer_vocabulary(t), 262);
    assert_int_equal(tokenizer_find(t, "<new>"), 260);
    assert_int_equal(tokenizer_find(t, "<extra>"), 261);
    assert_true(tokenizer_is_special(t, 256) && tokenizer_is_special(t, 257) && tokenizer_is_special(t, 261));
    assert_false(tokenizer_is_special(t, 260) || tokenizer_is_special(t, 259));
    expect_ids(t, "a</s>  <new>b", true, 257, ' ', 'a', 257, 260, ' ', 'b');
    tokenizer_close(t);
    test_folder_remove(folder);
}

static void test_flags_of_added_tokens_decoder(void **state) {
    (void)state;
    char *folder = make_folder();
    build_write(folder, "tokenizer_config.json",
                "{'added_tokens_decoder': {'260': {'content': '<new>', 'lstrip': true, 'special': true}, "
                "'256': {'content': '<pad>', 'special': false}}}");
    build_write(folder, "added_tokens.json", "{'<new>': 260}");
    struct tokenizer *t = open_folder(folder);
    assert_true(tokenizer_is_special(t, 260));
    expect_ids(t, "a  <new><pad>", true, 'a', 260, 256);
    tokenizer_close(t);
    test_folder_remove(folder);
}

static void test_other_schemes_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *fragment;
        enum status status;
    } cases[] = {
        {"tokenizer_config.json", "{'tokenizer_class': 'CTRLTokenizer'}", "'<unk>' is not in the vocabulary",
         STATUS_MALFORMED},
        {"config.json", "{'model_type': 'ctrl'}", "'<unk>' is not in the vocabulary", STATUS_MALFORMED},
        {"tokenizer_config.json",
         "{'tokenizer_class': 'CTRLTokenizer', 'added_tokens_decoder': {'256': {'content': "
         "'<pad>'}}, 'unk_token': 'a'}",
         "'<pad>': CTRLTokenizer with added tokens", STATUS_UNSUPPORTED},
        {"tokenizer_config.json",
         "{'tokenizer_class': 'BioGptTokenizer', 'added_tokens_decoder': {'256': {'content': '<pad>'}}, "
         "'unk_token': 'a', 'pad_token': 'b'}",
         "'<pad>': BioGptTokenizer with added tokens", STATUS_UNSUPPORTED},
        {"config.json", "{'model_type': 'biogpt'}", "'<unk>' is not in the vocabulary", STATUS_MALFORMED},
        {"tokenizer_config.json", "{'tokenizer_class': 'XLMTokenizer'}", "'XLMTokenizer'",
         STATUS_UNSUPPORTED},
        {"tokenizer_config.json", "{'tokenizer_class': 'T5Tokenizer'}", "'T5Tokenizer'", STATUS_UNSUPPORTED},
        {"vocab.json", "{'a</w>': 0, 'b</w>': 1}", "vocab.json", STATUS_UNSUPPORTED},
        {"vocab.json", "[]", "vocab.json", STATUS_MALFORMED},
        {"merges.txt", "a b c\n", "merges[0]", STATUS_MALFORMED},
        {"merges.txt", "a \xff\n", "line 1", STATUS_MALFORMED},
        {"merges.txt", "a c\n", "'ac' is not in the vocabulary", STATUS_MALFORMED},
        {"added_tokens.json", "{'<new>': 300}", "'<new>'", STATUS_UNSUPPORTED},
        {"added_tokens.json", "{'<new>': -1}", "'<new>'", STATUS_UNSUPPORTED},
        {"added_tokens.json", "{'<new>': '260'}", "'<new>'", STATUS_UNSUPPORTED},
        {"added_tokens.json", "{'<new>': 260, '<newer>': 260}", "'<newer>'", STATUS_UNSUPPORTED},
        {"tokenizer_config.json", "{'bos_token': 7}", "bos_token", STATUS_MALFORMED},
        {"tokenizer_config.json", "{'add_bos_token': true, 'bos_token': null, 'eos_token': '</s>'}",
         "add_bos_token", STATUS_MALFORMED},
        {"tokenizer_config.json", "{'added_tokens_decoder': {'9': {'content': '<x>'}}}",
         "added_tokens_decoder.9", STATUS_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *folder = make_folder();
        build_write(folder, cases[i].name, cases[i].text);
        expect_refused(folder, cases[i].status, cases[i].fragment);
        test_folder_remove(folder);
    }
}

static void test_one_file_is_not_enough(void **state) {
    (void)state;
    char *folder = test_folder_create();
    write_vocabulary(folder, NULL, 0);
    expect_refused(folder, STATUS_NOT_FOUND, "merges.txt");
    test_folder_remove(folder);
}

/* The one text that says what the files say opens to the same tokenizer. */
static void test_one_text_of_all_files(void **state) {
    (void)state;
    struct error e = {0};
    char *folder = make_folder(), *text;
    size_t length;
    struct tokenizer *from_files, *from_text;
    assert_ok(tokenizer_open(folder, &from_files, &e));
    assert_ok(tokenizer_read_text(folder, &text, &length, &e));
    assert_int_equal(length, strlen(text));
    assert_ok(tokenizer_open_text(text, length, "one text", &from_text, &e));
    assert_int_equal(tokenizer_vocabulary(from_text), tokenizer_vocabulary(from_files));
    for (int32_t id = 0; id < (int32_t)tokenizer_vocabulary(from_files); id++)
        assert_string_equal(tokenizer_content(from_text, id), tokenizer_content(from_files, id));
    struct token_list expected = {0}, found = {0};
    assert_ok(tokenizer_encode(from_files, "abba<|endoftext|>", 17, true, 0, &expected, &e));
    assert_ok(tokenizer_encode(from_text, "abba<|endoftext|>", 17, true, 0, &found, &e));
    assert_int_equal(found.count, expected.count);
    assert_memory_equal(found.ids, expected.ids, expected.count * sizeof *expected.ids);
    free(expected.ids);
    free(found.ids);
    tokenizer_close(from_files);
    tokenizer_close(from_text);
    assert_int_equal(tokenizer_open_text(text, length - 1, "one text", &from_text, &e), STATUS_MALFORMED);
    assert_string_equal(e.where, "one text");
    free(text);
    /* A tokenizer.json goes before the others. */
    test_file_write(folder, "tokenizer.json", "{\"model\": 1} ", 13);
    assert_ok(tokenizer_read_text(folder, &text, &length, &e));
    json_t *said = build_json(text);
    assert_int_equal(json_integer_value(json_object_get(said, "model")), 1);
    json_decref(said);
    free(text);
    test_folder_remove(folder);
    folder = test_folder_create();
    assert_int_equal(tokenizer_read_text(folder, &text, &length, &e), STATUS_NOT_FOUND);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_files_alone),
        cmocka_unit_test(test_tokens_of_the_other_files),
        cmocka_unit_test(test_flags_of_added_tokens_decoder),
        cmocka_unit_test(test_other_schemes_are_refused),
        cmocka_unit_test(test_one_file_is_not_enough),
        cmocka_unit_test(test_one_text_of_all_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
