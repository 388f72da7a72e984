/* What tokenizer_config.json does to a tokenizer.json, and what is refused. That the rest is as transformers has it is
 * tests/golden/test_tokenizers.c, by the folders hf-*. */
#include "tests/unit/engine/text/build.h"

static const char words[] =
    "{'model': {'type': 'WordLevel', 'vocab': {'a': 0, 'b': 1, '<s>': 2, '?': 3}, 'unk_token': '?'}, "
    "'pre_tokenizer': {'type': 'WhitespaceSplit'}, 'added_tokens': [{'id': 2, 'content': '<s>', 'special': "
    "true}]}";

static enum status open_with(const char *file, const char *config, const char *model, struct tokenizer **out,
                             struct error *e) {
    char *folder = test_folder_create();
    build_write(folder, "tokenizer.json", file);
    if (config) build_write(folder, "tokenizer_config.json", config);
    if (model) build_write(folder, "config.json", model);
    *out = NULL;
    enum status status = tokenizer_open(folder, out, e);
    test_folder_remove(folder);
    return status;
}

static struct tokenizer *opened(const char *config, const char *model) {
    struct error e = {0};
    struct tokenizer *t;
    assert_ok(open_with(words, config, model, &t, &e));
    return t;
}

static void refused(const char *config, enum status status, const char *where, const char *fragment) {
    struct error e = {0};
    struct tokenizer *t;
    assert_int_equal(open_with(words, config, NULL, &t, &e), status);
    assert_string_equal(e.where, where);
    if (!strstr(e.text, fragment)) fail_msg("'%s' is not in '%s'", fragment, e.text);
}

static void test_tokenizer_json_alone_stands(void **state) {
    (void)state;
    struct tokenizer *t = opened(NULL, NULL);
    expect_ids(t, "a <s> b", true, 0, 2, 1);
    tokenizer_close(t);
}

/* Where nothing names a class the type of the model stands for one; a token that the tokenizer lacks is then not made
 * up. */
static void test_the_class_of_a_type(void **state) {
    (void)state;
    struct tokenizer *t = opened(NULL, "{'model_type': 'llama'}");
    expect_ids(t, "a", true, 2, 0);
    assert_int_equal(tokenizer_find(t, "</s>"), -1);
    tokenizer_close(t);
    t = opened("{}", "{'model_type': 'cohere'}");
    expect_ids(t, "a", true, 0);
    assert_int_equal(tokenizer_vocabulary(t), 4);
    tokenizer_close(t);
    t = opened("{'tokenizer_class': 'PreTrainedTokenizerFast'}", "{'model_type': 'llama'}");
    expect_ids(t, "a", true, 0);
    tokenizer_close(t);
}

static void test_tokens_are_numbered_on(void **state) {
    (void)state;
    struct tokenizer *t =
        opened("{'tokenizer_class': 'CohereTokenizer', 'eos_token': 'b', 'add_eos_token': true}", NULL);
    expect_ids(t, "a", true, 4, 0, 1);
    assert_int_equal(tokenizer_find(t, "<BOS_TOKEN>"), 4);
    assert_int_equal(tokenizer_find(t, "<UNK>"), 5);
    assert_true(tokenizer_is_special(t, 1));
    tokenizer_close(t);
}

/* transformers 5 has a list where there were names before, and another key for those. */
static void test_extra_special_tokens(void **state) {
    (void)state;
    static const char *const configs[] = {"{'extra_special_tokens': ['b', '<x>']}",
                                          "{'extra_special_tokens': {'first': 'b', 'second': '<x>'}}",
                                          "{'model_specific_special_tokens': {'x': '<x>', 'b': 'b'}}"};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        struct tokenizer *t = opened(configs[i], NULL);
        expect_ids(t, "a<x>", true, 0, 4);
        assert_true(tokenizer_is_special(t, 1) && tokenizer_is_special(t, 4));
        tokenizer_close(t);
    }
    refused("{'extra_special_tokens': 'b'}", STATUS_MALFORMED, "tokenizer_config.json",
            "extra_special_tokens");
}

static void test_what_is_refused(void **state) {
    (void)state;
    static const char name[] = "tokenizer_config.json";
    refused("{'tokenizer_class': 'BertTokenizer'}", STATUS_UNSUPPORTED, name,
            "'BertTokenizer' is not supported");
    refused("{'split_special_tokens': true}", STATUS_UNSUPPORTED, name, "split_special_tokens");
    refused("{'tokenizer_class': 'CodeGenTokenizer', 'add_bos_token': true}", STATUS_UNSUPPORTED, name,
            "add_bos_token");
    refused("{'tokenizer_class': 'LlamaTokenizer', 'add_prefix_space': false}", STATUS_UNSUPPORTED, name,
            "transformers reads tokenizer.model");
    refused("{'tokenizer_class': 'LlamaTokenizer', 'bos_token': null}", STATUS_MALFORMED, name,
            "add_bos_token, but there is none");
    refused("{'add_prefix_space': 'yes'}", STATUS_MALFORMED, name, "add_prefix_space");
    refused("{'bos_token': 7}", STATUS_MALFORMED, name, "bos_token");
    refused("{'additional_special_tokens': 'a'}", STATUS_MALFORMED, name, "additional_special_tokens");
    refused("{'added_tokens_decoder': []}", STATUS_MALFORMED, name, "added_tokens_decoder");
    refused("{'added_tokens_decoder': {'x': {'content': 'a'}}}", STATUS_MALFORMED, name,
            "added_tokens_decoder.x");
    refused("{'added_tokens_decoder': {'-1': {'content': 'a'}}}", STATUS_MALFORMED, name,
            "added_tokens_decoder.-1");
    refused("{'added_tokens_decoder': {'1': 'a'}}", STATUS_MALFORMED, name, "added_tokens_decoder.1");
    refused("[]", STATUS_MALFORMED, name, "expected an object");
}

/* Parts of a tokenizer.json that are none are named by those who read them. */
static void test_a_file_that_is_none(void **state) {
    (void)state;
    struct error e = {0};
    struct tokenizer *t;
    static const char config[] = "{'tokenizer_class': 'LlamaTokenizer'}";
    assert_int_equal(open_with("[]", config, NULL, &t, &e), STATUS_MALFORMED);
    assert_int_equal(open_with("{'added_tokens': 7, 'model': {}}", config, NULL, &t, &e), STATUS_MALFORMED);
    assert_int_equal(open_with("{'added_tokens': [7], 'model': {'vocab': []}}", config, NULL, &t, &e),
                     STATUS_MALFORMED);
    assert_int_equal(open_with("{'model': 7, 'pre_tokenizer': []}", config, NULL, &t, &e), STATUS_MALFORMED);
}

static void test_whether_one_is_missing(void **state) {
    (void)state;
    char *folder = test_folder_create();
    struct error e = {0};
    struct tokenizer *t;
    enum status status = tokenizer_open(folder, &t, &e);
    assert_int_equal(status, STATUS_NOT_FOUND);
    assert_true(tokenizer_is_missing(folder, status));
    build_write(folder, "config.json", "{'tokenizer_class': 'XLMTokenizer'}");
    build_write(folder, "vocab.json", "{'a</w>': 0}");
    test_file_write(folder, "merges.txt", "", 0);
    status = tokenizer_open(folder, &t, &e);
    assert_int_equal(status, STATUS_UNSUPPORTED);
    assert_true(tokenizer_is_missing(folder, status));
    assert_false(tokenizer_is_missing(folder, STATUS_MALFORMED));
    build_write(folder, "tokenizer.json", "{'model': {'type': 'WordNet'}}");
    status = tokenizer_open(folder, &t, &e);
    assert_int_equal(status, STATUS_UNSUPPORTED);
    assert_false(tokenizer_is_missing(folder, status));
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenizer_json_alone_stands),
        cmocka_unit_test(test_the_class_of_a_type),
        cmocka_unit_test(test_tokens_are_numbered_on),
        cmocka_unit_test(test_extra_special_tokens),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_a_file_that_is_none),
        cmocka_unit_test(test_whether_one_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
