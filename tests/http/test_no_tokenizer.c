/* A model folder without a tokenizer: ids are served, and what needs a text is told why not. */
#include <string.h>

#include "tests/http/support_command.h"
#include "tests/http/support_http.h"

static char *make_folder(void) {
    static const char *const names[] = {"config.json", "model.safetensors"};
    char *folder = test_folder_create();
    for (size_t i = 0; i < 2; i++) {
        size_t length;
        char *bytes = test_file_read(test_source_path("tests/golden/families/gpt2"), names[i], &length);
        test_file_write(folder, names[i], bytes, length);
        free(bytes);
    }
    return folder;
}

static void start(struct daemon *d, const char *folder) {
    const char *flags[] = {"serve", "--port", "0", "--model", folder, "--verify", NULL};
    daemon_start(d, PRENORMD, flags);
    daemon_wait_ready(d);
}

static void expect_refused(const struct daemon *d, const char *path, const char *body, const char *param) {
    struct answer a = http_post(d, path, body);
    json_t *json = answer_json(&a), *error = json_object_get(json, "error");
    assert_int_equal(a.status, 400);
    assert_string_equal(json_string_value(json_object_get(error, "param")), param);
    assert_non_null(strstr(json_string_value(json_object_get(error, "message")), "no tokenizer"));
    json_decref(json);
    answer_free(&a);
}

/* The same ids as with the tokenizer, whose texts are the only thing that is missing. */
static void test_ids_are_answered(void **state) {
    static const char body[] =
        "{\"prompt\":[1,2,3],\"max_tokens\":4,\"temperature\":0,\"logprobs\":1,\"echo\":true}";
    const struct daemon *d = *state;
    json_t *answer = complete(d, body), *choice = json_array_get(json_object_get(answer, "choices"), 0);
    json_t *logprobs = json_object_get(choice, "logprobs"), *tokens = json_object_get(logprobs, "tokens");
    assert_string_equal(choice_text(answer, 0), "");
    assert_int_equal(json_array_size(json_object_get(choice, "token_ids")), 4);
    assert_int_equal(json_array_size(tokens), 7);
    assert_string_equal(json_string_value(json_array_get(tokens, 0)), "token_id:1");
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(json_integer_value(json_array_get(json_object_get(logprobs, "text_offset"), i)), 0);
    char name[32];
    snprintf(name, sizeof name, "token_id:%lld",
             (long long)json_integer_value(json_array_get(json_object_get(choice, "token_ids"), 0)));
    assert_string_equal(json_string_value(json_array_get(tokens, 3)), name);
    assert_non_null(json_object_get(json_array_get(json_object_get(logprobs, "top_logprobs"), 3), name));
    json_decref(answer);
}

static void test_texts_are_refused(void **state) {
    const struct daemon *d = *state;
    expect_refused(d, "/v1/completions", "{\"prompt\":\"hello\"}", "prompt");
    expect_refused(d, "/v1/completions", "{\"prompt\":[[1],\"hello\"]}", "prompt");
    expect_refused(d, "/v1/completions", "{\"prompt\":[1],\"stop\":\"a\"}", "stop");
    expect_refused(d, "/v1/completions", "{\"prompt\":[1],\"bad_words\":[\"a\"]}", "bad_words");
    expect_refused(d, "/tokenize", "{\"prompt\":\"hello\"}", "prompt");
    expect_refused(d, "/detokenize", "{\"tokens\":[1]}", "tokens");
    struct answer a = http_get(d, "/tokenizer_info");
    json_t *json = answer_json(&a);
    assert_true(json_is_null(json_object_get(json, "eos_token")));
    assert_true(json_is_integer(json_object_get(json, "eos_token_id")));
    json_decref(json);
    answer_free(&a);
}

static void test_stop_tokens_work(void **state) {
    const struct daemon *d = *state;
    json_t *answer = complete(d, "{\"prompt\":[1,2,3],\"max_tokens\":3,\"temperature\":0}");
    const json_t *ids = json_object_get(json_array_get(json_object_get(answer, "choices"), 0), "token_ids");
    char body[128];
    snprintf(body, sizeof body,
             "{\"prompt\":[1,2,3],\"max_tokens\":3,\"temperature\":0,\"stop_token_ids\":[%lld]}",
             (long long)json_integer_value(json_array_get(ids, 0)));
    json_t *stopped = complete(d, body), *choice = json_array_get(json_object_get(stopped, "choices"), 0);
    assert_string_equal(json_string_value(json_object_get(choice, "finish_reason")), "stop");
    json_decref(stopped);
    json_decref(answer);
}

static void test_the_log_says_so_once(void **state) {
    const struct daemon *d = *state;
    size_t length, count = 0;
    char *log = test_file_read("", d->log, &length);
    for (const char *at = log; (at = strstr(at, "no tokenizer (")); at++) count++;
    assert_int_equal(count, 1);
    free(log);
}

static void test_generate_says_why_not(void **state) {
    (void)state;
    char *folder = make_folder();
    struct command c = {.words = {PRENORMD, "generate", "--model", folder, "hello", NULL}};
    assert_int_equal(command_run(&c), 1);
    assert_string_equal(c.output_text, "");
    assert_non_null(strstr(c.error_text, "this model has no tokenizer that is read (no tokenizer.json"));
    command_free(&c);
    test_folder_remove(folder);
}

static char *folder;
static struct daemon daemon_of_ids;

static int setup(void **state) {
    folder = make_folder();
    start(&daemon_of_ids, folder);
    *state = &daemon_of_ids;
    return 0;
}

static int teardown(void **state) {
    daemon_stop(*state);
    test_folder_remove(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_answered),      cmocka_unit_test(test_texts_are_refused),
        cmocka_unit_test(test_stop_tokens_work),      cmocka_unit_test(test_the_log_says_so_once),
        cmocka_unit_test(test_generate_says_why_not),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
