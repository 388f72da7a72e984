/* Where a folder's chat template comes from, and the variables that its files give to it, as the transformers library has
 * them. */
#include "tests/unit/engine/text/build.h"

#include "engine/text/sources/chat_source.h"

/* Files as name, content, name, content, ..., NULL. */
static char *folder_of(const char *const *files) {
    char *folder = test_folder_create();
    for (; *files; files += 2) {
        char *quoted = build_quote(files[1]);
        test_file_write(folder, files[0], quoted, strlen(quoted));
        free(quoted);
    }
    return folder;
}
#define FILES(...) folder_of((const char *const[]){__VA_ARGS__, NULL})

static json_t *load(char *folder) {
    struct error e;
    json_t *source;
    assert_ok(chat_source_load(folder, &source, &e));
    test_folder_remove(folder);
    return source;
}

static void expect_template(char *folder, const char *name, const char *template) {
    json_t *source = load(folder);
    const char *found = json_string_value(json_object_get(source, "template"));
    if (template) {
        assert_string_equal(found, template);
        assert_string_equal(json_string_value(json_object_get(source, "name")), name);
    } else {
        assert_null(found);
    }
    json_decref(source);
}

static void expect_variables(char *folder, const char *variables) {
    json_t *source = load(folder), *expected = build_json(variables);
    if (!json_equal(json_object_get(source, "variables"), expected))
        fail_msg("%s", json_dumps(source, JSON_COMPACT));
    json_decref(source);
    json_decref(expected);
}

static void refuse(char *folder, enum status status, const char *where, const char *words) {
    struct error e;
    json_t *source;
    assert_int_equal(chat_source_load(folder, &source, &e), status);
    assert_null(source);
    assert_string_equal(e.where, where);
    assert_says(e.text, words);
    test_folder_remove(folder);
}

#define CONFIG "tokenizer_config.json"

static void test_the_first_file_that_has_a_template_counts(void **state) {
    (void)state;
    expect_template(FILES("chat_template.jinja", "a", CONFIG, "{'chat_template': 'b'}", "chat_template.json",
                          "{'chat_template': 'c'}"),
                    "chat_template.jinja", "a");
    expect_template(FILES(CONFIG, "{'chat_template': 'b'}", "chat_template.json", "{'chat_template': 'c'}"),
                    CONFIG, "b");
    expect_template(FILES("chat_template.json", "{'chat_template': 'c'}"), "chat_template.json", "c");
    expect_template(FILES(CONFIG, "{'chat_template': null}"), NULL, NULL);
    expect_template(FILES("config.json", "{}"), NULL, NULL);
}

static void test_of_several_the_default_counts(void **state) {
    (void)state;
    expect_template(FILES(CONFIG, "{'chat_template': [{'name': 'tool_use', 'template': 'a'}, "
                                  "{'name': 'default', 'template': 'b'}]}"),
                    CONFIG, "b");
    expect_template(FILES(CONFIG, "{'chat_template': {'rag': 'a', 'default': 'b'}}"), CONFIG, "b");
    refuse(FILES(CONFIG, "{'chat_template': [{'name': 'tool_use', 'template': 'a'}]}"), STATUS_UNSUPPORTED,
           CONFIG, "default");
    refuse(FILES(CONFIG, "{'chat_template': [{'name': 'default', 'template': 1}]}"), STATUS_MALFORMED, CONFIG,
           "expected a text");
    refuse(FILES(CONFIG, "{'chat_template': 5}"), STATUS_MALFORMED, CONFIG, "expected a text");
    refuse(FILES("chat_template.jinja", "a\xff"), STATUS_MALFORMED, "chat_template.jinja", "UTF-8");
}

static void test_special_tokens_are_variables(void **state) {
    (void)state;
    expect_variables(FILES(CONFIG, "{'bos_token': '<a>', 'eos_token': {'content': '<b>', 'lstrip': true}, "
                                   "'pad_token': null, 'tokenizer_class': 'PreTrainedTokenizerFast'}"),
                     "{'bos_token': '<a>', 'eos_token': '<b>'}");
    /* The class has its own, which the files take away or change. */
    expect_variables(
        FILES(CONFIG, "{'tokenizer_class': 'LlamaTokenizer', 'unk_token': null, 'eos_token': '<b>'}"),
        "{'bos_token': '<s>', 'eos_token': '<b>'}");
    expect_variables(FILES(CONFIG, "{'additional_special_tokens': ['<x>', {'content': '<y>'}], "
                                   "'extra_special_tokens': {'image_token': '<i>'}}"),
                     "{'additional_special_tokens': ['<x>', '<y>'], 'image_token': '<i>'}");
}

static void test_the_older_map_counts_without_a_list_of_added_tokens(void **state) {
    (void)state;
    expect_variables(FILES(CONFIG, "{'bos_token': '<a>'}", "special_tokens_map.json", "{'bos_token': '<m>'}"),
                     "{'bos_token': '<m>'}");
    expect_variables(FILES(CONFIG, "{'bos_token': '<a>', 'added_tokens_decoder': {}}",
                           "special_tokens_map.json", "{'bos_token': '<m>'}"),
                     "{'bos_token': '<a>'}");
}

static void test_a_kept_source_is_read_again(void **state) {
    (void)state;
    struct error e;
    json_t *source = load(FILES("chat_template.jinja", "a", CONFIG, "{'bos_token': '<a>'}")), *again;
    char *text = json_dumps(source, JSON_COMPACT);
    assert_ok(chat_source_parse(text, strlen(text), &again, &e));
    assert_true(json_equal(source, again));
    json_decref(again);
    assert_int_equal(chat_source_parse("[]", 2, &again, &e), STATUS_MALFORMED);
    assert_null(again);
    char *folder = test_folder_create(), path[2048];
    test_file_write(folder, "b.jinja", "b", 1);
    snprintf(path, sizeof path, "%s/b.jinja", folder);
    assert_ok(chat_source_set_file(source, path, &e));
    assert_string_equal(json_string_value(json_object_get(source, "template")), "b");
    assert_int_equal(chat_source_set_file(source, "/nowhere", &e), STATUS_NOT_FOUND);
    test_folder_remove(folder);
    json_decref(source);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_file_that_has_a_template_counts),
        cmocka_unit_test(test_of_several_the_default_counts),
        cmocka_unit_test(test_special_tokens_are_variables),
        cmocka_unit_test(test_the_older_map_counts_without_a_list_of_added_tokens),
        cmocka_unit_test(test_a_kept_source_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
