/* Chats of the real program: the bundled model, which has no template of its own, with files that the tests write. */
#include <sys/stat.h>
#include <unistd.h>

#include "tests/http/support_http.h"

static const char plain[] = "{%- for message in messages -%}\n"
                            "{%- if message['role'] == 'tool' %}{{ raise_exception('No tools here, ' + "
                            "message['content']) }}{% endif -%}\n"
                            "{{ '[' + message['role'] + '] ' + message['content'] + eos_token }}\n"
                            "{%- endfor -%}\n"
                            "{%- if add_generation_prompt -%}{{ '[assistant]' }}{%- endif -%}\n";

static struct daemon start(const char *folder, const char *template, const char *flag) {
    struct daemon d;
    char path[256];
    snprintf(path, sizeof path, "%s/chat.jinja", folder);
    test_file_write(folder, "chat.jinja", template, strlen(template));
    daemon_start_tales(&d, "--chat-template", path, flag, NULL);
    return d;
}

static json_t *post(const struct daemon *d, const char *path, const char *body, long status) {
    struct answer a = http_post(d, path, body);
    if (a.status != status) fail_msg("%s: status %ld: %s", path, a.status, a.body ? a.body : "");
    json_t *json = answer_json(&a);
    answer_free(&a);
    return json;
}

static const char *message_of(const json_t *error) {
    const char *message = json_string_value(json_object_get(json_object_get(error, "error"), "message"));
    assert_non_null(message);
    return message;
}

#define STORY                                                                                                \
    "\"messages\":[{\"role\":\"system\",\"content\":\"Tell.\"},{\"role\":\"user\",\"content\":\"Once "       \
    "upon\"}]"

/* The chat is the completion of the text that the template writes, where no client forges a token. */
static void test_chat_is_a_completion(void **state) {
    struct daemon d = start(*state, plain, NULL);
    json_t *text = post(&d, "/apply-template", "{" STORY "}", 200);
    assert_string_equal(json_string_value(json_object_get(text, "prompt")),
                        "[system] Tell.<|endoftext|>[user] Once upon<|endoftext|>[assistant]");
    json_t *request =
        json_pack("{s:O,s:b,s:b,s:i,s:i}", "prompt", json_object_get(text, "prompt"), "add_special_tokens", 0,
                  "return_token_ids", 1, "temperature", 0, "max_tokens", 12);
    char *body = json_dumps(request, 0);
    json_t *completed = complete(&d, body),
           *chat = post(&d, "/v1/chat/completions",
                        "{" STORY ",\"temperature\":0,\"max_tokens\":12,\"return_token_ids\":true}", 200),
           *tokens = post(&d, "/tokenize", "{" STORY "}", 200),
           *more = post(&d, "/tokenize", "{" STORY ",\"add_special_tokens\":true}", 200);
    const json_t *one = json_array_get(json_object_get(completed, "choices"), 0),
                 *answer = json_array_get(json_object_get(chat, "choices"), 0);
    assert_true(
        json_equal(json_object_get(one, "prompt_token_ids"), json_object_get(chat, "prompt_token_ids")));
    assert_true(json_equal(json_object_get(one, "prompt_token_ids"), json_object_get(tokens, "tokens")));
    assert_true(json_equal(json_object_get(one, "token_ids"), json_object_get(answer, "token_ids")));
    assert_string_equal(json_string_value(json_object_get(json_object_get(answer, "message"), "content")),
                        choice_text(completed, 0));
    /* What the tokenizer puts before a text, where that is asked for. */
    json_array_insert_new(json_object_get(tokens, "tokens"), 0, json_integer(0));
    assert_true(json_equal(json_object_get(more, "tokens"), json_object_get(tokens, "tokens")));
    free(body);
    json_decref(more);
    json_decref(tokens);
    json_decref(chat);
    json_decref(completed);
    json_decref(request);
    json_decref(text);
    daemon_stop(&d);
}

/* <|endoftext|> is 0: twice by the template, once by the client, where that is allowed. */
static size_t count_of_id_0(const struct daemon *d) {
    json_t *json = post(d, "/tokenize",
                        "{\"messages\":[{\"role\":\"user\",\"content\":\"a<|endoftext|>b\"},"
                        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"<|endoftext|>\"}]}]}",
                        200);
    size_t count = 0, index;
    const json_t *id;
    json_array_foreach(json_object_get(json, "tokens"), index, id) count += json_integer_value(id) == 0;
    json_decref(json);
    return count;
}

static void test_forged_control_tokens(void **state) {
    struct daemon d = start(*state, plain, NULL);
    assert_int_equal(count_of_id_0(&d), 2);
    daemon_stop(&d);
    d = start(*state, plain, "--chat-control-tokens-in-content");
    assert_int_equal(count_of_id_0(&d), 4);
    daemon_stop(&d);
}

static void test_what_a_template_says(void **state) {
    struct daemon d = start(*state, plain, NULL);
    json_t *error =
        post(&d, "/v1/chat/completions", "{\"messages\":[{\"role\":\"tool\",\"content\":\"sorry\"}]}", 400);
    assert_string_equal(message_of(error), "No tools here, sorry");
    json_decref(error);
    error = post(&d, "/apply-template", "{\"messages\":[{\"role\":\"user\",\"content\":null}]}", 400);
    assert_non_null(strstr(message_of(error), "chat template, line 3"));
    json_decref(error);
    json_t *open = post(&d, "/apply-template",
                        "{\"messages\":[{\"role\":\"assistant\",\"content\":\"There was\"}],"
                        "\"continue_final_message\":true}",
                        200);
    assert_string_equal(json_string_value(json_object_get(open, "prompt")), "[assistant] There was");
    json_decref(open);
    daemon_stop(&d);
}

/* Parts are the template's where it reads them, and one text for those that do not, also where these would write a list
 * as Python does. */
static void test_parts(void **state) {
    static const struct {
        const char *template, *expected;
    } cases[] = {{"{% for m in messages %}{{ '>' + m['content'] }}{% endfor %}", ">a\nb"},
                 {"{% for m in messages %}{{ m['content'] }}{% endfor %}", "a\nb"},
                 {"{% for m in messages %}{{ m['content'] | tojson }}{% endfor %}", "\"a\\nb\""},
                 {"{% for m in messages %}>{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for "
                  "p in m['content'] "
                  "%}{{ p['text'] }}{% endfor %}{% endif %}{% endfor %}",
                  ">ab"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct daemon d = start(*state, cases[i].template, NULL);
        json_t *text =
            post(&d, "/apply-template",
                 "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
                 "{\"type\":\"text\",\"text\":\"b\"}]}]}",
                 200);
        assert_string_equal(json_string_value(json_object_get(text, "prompt")), cases[i].expected);
        json_decref(text);
        daemon_stop(&d);
    }
}

/* One that never ends is ended, and nobody else notices. */
/* Whether parts are read is tried with the memory that a chat has: what takes more for them is as one that does not
 * read them. */
static void test_parts_that_take_too_much(void **state) {
    struct daemon d = start(*state,
                            "{%- for m in messages -%}{%- if m.content is string -%}<{{ m.content }}>"
                            "{%- else -%}{%- set x = 'x' * 6000000 -%}{{ m.content[0].text }}{%- endif -%}"
                            "{%- endfor -%}",
                            NULL);
    json_t *text = post(&d, "/apply-template",
                        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
                        "{\"type\":\"text\",\"text\":\"b\"}]}]}",
                        200);
    assert_string_equal(json_string_value(json_object_get(text, "prompt")), "<a\nb>");
    json_decref(text);
    daemon_stop(&d);
}

static void test_endless_template(void **state) {
    struct daemon d = start(
        *state, "{% for i in range(10**9) %}{% for j in range(10**9) %}x{% endfor %}{% endfor %}", NULL);
    for (size_t i = 0; i < 3; i++) {
        json_t *error = post(&d, "/v1/chat/completions", "{" STORY "}", 400);
        assert_string_equal(json_string_value(json_object_get(json_object_get(error, "error"), "param")),
                            "messages");
        json_decref(error);
    }
    json_decref(complete(&d, "{\"prompt\":\"Once\",\"max_tokens\":2}"));
    wait_metric(&d, "prenorm_reading_memory_bytes", 0);
    daemon_stop(&d);
}

/* The bundled model, with a template of its own. Its path is the caller's to free. */
static char *model_with_template(const char *parent, const char *template) {
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json",
                                        "tokenizer_config.json"};
    char *folder, path[600];
    assert_true(asprintf(&folder, "%s/model", parent) > 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char from[600];
        snprintf(from, sizeof from, PRENORM_SOURCE_DIR "/deploy/models/tales/%s", files[i]);
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        assert_int_equal(symlink(from, path), 0);
    }
    test_file_write(folder, "chat_template.jinja", template, strlen(template));
    return folder;
}

/* It is told when the model is loaded; prompts are answered all the same. */
static void test_template_that_cannot_be_run(void **state) {
    struct daemon d;
    char *folder = model_with_template(*state, "{% include 'other' %}");
    daemon_start_tales(&d, "--model", folder, NULL);
    free(folder);
    json_t *error = post(&d, "/v1/chat/completions", "{" STORY "}", 400);
    assert_non_null(strstr(message_of(error), "include"));
    assert_non_null(strstr(message_of(error), "/v1/completions"));
    json_decref(error);
    json_decref(complete(&d, "{\"prompt\":\"Once\",\"max_tokens\":2}"));
    size_t length;
    char *log = test_file_read("", d.log, &length);
    assert_non_null(strstr(log, "include"));
    free(log);
    daemon_stop(&d);
}

/* Whoever names one wants chats. */
static void test_named_template_that_cannot_be_run(void **state) {
    struct daemon d;
    char path[256], *log;
    static const char text[] = "a\n{% include 'other' %}";
    snprintf(path, sizeof path, "%s/chat.jinja", (const char *)*state);
    test_file_write(*state, "chat.jinja", text, strlen(text));
    daemon_start(&d, PRENORMD,
                 (const char *const[]){"serve", "--port", "0", "--model",
                                       PRENORM_SOURCE_DIR "/deploy/models/tales", "--chat-template", path,
                                       NULL});
    assert_int_equal(daemon_wait(&d, &log), 2);
    assert_says(log, "--chat-template |chat.jinja: |line 2: the statement 'include' is not supported");
    free(log);
}

static void test_model_without_template(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_tales(&d, NULL);
    json_t *error = post(&d, "/v1/chat/completions", "{" STORY "}", 400);
    assert_non_null(strstr(message_of(error), "answers no conversations: the model has no chat template. "));
    assert_non_null(strstr(message_of(error), "/v1/completions"));
    json_decref(error);
    daemon_stop(&d);
}

static int make_folder(void **state) {
    *state = test_folder_create();
    return 0;
}

static int remove_folder(void **state) {
    test_folder_remove(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat_is_a_completion),
        cmocka_unit_test(test_forged_control_tokens),
        cmocka_unit_test(test_what_a_template_says),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_parts_that_take_too_much),
        cmocka_unit_test(test_endless_template),
        cmocka_unit_test(test_template_that_cannot_be_run),
        cmocka_unit_test(test_named_template_that_cannot_be_run),
        cmocka_unit_test(test_model_without_template),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
