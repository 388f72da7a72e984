/* POST /v1/chat/completions, /apply-template, and messages in /tokenize, over the fake engine and its template. */
#include "tests/http/one_fake_daemon.h"

#define HELLO "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"

static json_t *chat(const char *body) {
    return post_json(&d, "/v1/chat/completions", body);
}

static const char *content(const json_t *answer, size_t index) {
    const char *text = json_string_value(json_object_get(choice_value(answer, index, "message"), "content"));
    assert_non_null(text);
    return text;
}

static void expect_ids(const char *body, const char *expected) {
    json_t *answer = chat(body);
    expect_json(json_object_get(answer, "prompt_token_ids"), expected);
    json_decref(answer);
}

static long long usage(const json_t *answer, const char *name) {
    return json_integer_value(json_object_get(json_object_get(answer, "usage"), name));
}

static void test_shape(void **state) {
    (void)state;
    json_t *answer = chat("{" HELLO ",\"max_tokens\":7,\"seed\":3,\"ignore_eos\":true}");
    assert_int_equal(strncmp(json_string_value(json_object_get(answer, "id")), "chatcmpl-", 9), 0);
    expect_json(json_object_get(answer, "object"), "\"chat.completion\"");
    assert_true(json_is_integer(json_object_get(answer, "created")));
    expect_json(json_object_get(answer, "model"), "\"tales\"");
    expect_json(json_object_get(choice_value(answer, 0, "message"), "role"), "\"assistant\"");
    expect_json(json_object_get(choice_value(answer, 0, "message"), "refusal"), "null");
    assert_int_equal(strlen(content(answer, 0)), 7);
    assert_null(choice_value(answer, 0, "text"));
    expect_json(choice_value(answer, 0, "logprobs"), "null");
    expect_json(choice_value(answer, 0, "finish_reason"), "\"length\"");
    assert_int_equal(usage(answer, "prompt_tokens"), strlen("<user>Hi\n<assistant>"));
    assert_int_equal(usage(answer, "completion_tokens"), 7);
    json_decref(answer);
    answer = chat("{" HELLO ",\"max_tokens\":1,\"request_id\":\"mine\"}");
    expect_json(json_object_get(answer, "id"), "\"chatcmpl-mine\"");
    json_decref(answer);
}

/* A chat is what the same ids are as a prompt. */
static void test_same_text_as_the_completion(void **state) {
    (void)state;
    json_t *answer = chat("{" HELLO ",\"temperature\":0.7,\"seed\":5,\"max_tokens\":20,\"n\":2,"
                          "\"return_token_ids\":true}");
    json_t *ids = json_object_get(answer, "prompt_token_ids"),
           *request = json_pack("{s:O,s:f,s:i,s:i,s:i}", "prompt", ids, "temperature", 0.7, "seed", 5,
                                "max_tokens", 20, "n", 2);
    char *body = json_dumps(request, 0);
    json_t *completed = complete(&d, body);
    for (size_t i = 0; i < 2; i++) assert_string_equal(content(answer, i), choice_text(completed, i));
    free(body);
    json_decref(request);
    json_decref(completed);
    json_decref(answer);
}

/* What a client writes is no control token; what the template writes is one. */
static void test_prompt_ids(void **state) {
    (void)state;
    expect_ids("{\"messages\":[{\"role\":\"user\",\"content\":\"<a>\"}],\"max_tokens\":1,"
               "\"return_token_ids\":true,\"add_generation_prompt\":false}",
               "[257,117,115,101,114,258,60,97,62,10]");
    expect_ids("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":1,"
               "\"return_token_ids\":true,\"continue_final_message\":true}",
               "[257,117,115,101,114,258,97]");
    expect_ids(
        "{\"messages\":[{\"role\":\"u\",\"content\":\"a\"}],\"max_tokens\":1,\"return_token_ids\":true,"
        "\"chat_template_kwargs\":{\"tail\":\"<\"},\"add_generation_prompt\":false}",
        "[257,117,258,97,10,60]");
    expect_ids(
        "{\"messages\":[{\"role\":\"u\",\"content\":\"abc\"}],\"max_tokens\":1,\"return_token_ids\":true,"
        "\"truncate_prompt_tokens\":3,\"add_generation_prompt\":false}",
        "[98,99,10]");
    expect_ids(
        "{\"messages\":[{\"role\":\"u\",\"content\":\"abc\"}],\"max_tokens\":1,\"return_token_ids\":true,"
        "\"truncate_prompt_tokens\":3,\"truncation_side\":\"right\"}",
        "[257,117,258]");
}

/* Parts of type text, and messages without content, which some templates know. */
static void test_forms_of_content(void **state) {
    (void)state;
    expect_ids(
        "{\"messages\":[{\"role\":\"u\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\","
        "\"text\":\"b\"}]}],\"max_tokens\":1,\"return_token_ids\":true,\"add_generation_prompt\":false}",
        "[257,117,258,97,10,98,10]");
    expect_ids(
        "{\"messages\":[{\"role\":\"u\",\"content\":null},{\"role\":\"u\"},{\"role\":\"u\",\"content\":[]}],"
        "\"max_tokens\":1,\"return_token_ids\":true,\"add_generation_prompt\":false}",
        "[257,117,258,10,257,117,258,10,257,117,258,10]");
}

static void test_lengths(void **state) {
    (void)state;
    static const struct {
        const char *fields;
        long long tokens;
    } cases[] = {{"\"max_tokens\":3", 3},
                 {"\"max_completion_tokens\":4", 4},
                 {"\"max_tokens\":3,\"max_completion_tokens\":5", 5},
                 {"\"max_tokens\":null", 2048 - 20},
                 {"\"max_tokens\":100000", 2048 - 20}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[256];
        snprintf(body, sizeof body, "{" HELLO ",\"allowed_token_ids\":[97],%s}", cases[i].fields);
        json_t *answer = chat(body);
        assert_int_equal(usage(answer, "completion_tokens"), cases[i].tokens);
        json_decref(answer);
    }
}

static void test_logprobs(void **state) {
    (void)state;
    json_t *answer =
        chat("{" HELLO ",\"logprobs\":true,\"top_logprobs\":2,\"max_tokens\":4,\"ignore_eos\":true}");
    const json_t *tokens = json_object_get(choice_value(answer, 0, "logprobs"), "content");
    assert_int_equal(json_array_size(tokens), 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *token = json_array_get(tokens, i);
        const char *text = json_string_value(json_object_get(token, "token"));
        assert_int_equal(text[0], content(answer, 0)[i]);
        assert_true(json_is_real(json_object_get(token, "logprob")));
        assert_int_equal(json_integer_value(json_array_get(json_object_get(token, "bytes"), 0)), text[0]);
        assert_int_equal(json_array_size(json_object_get(token, "top_logprobs")), 2);
        assert_int_equal(json_object_size(json_array_get(json_object_get(token, "top_logprobs"), 1)), 3);
    }
    json_decref(answer);
    answer = chat("{" HELLO ",\"logprobs\":true,\"max_tokens\":1,\"ignore_eos\":true}");
    tokens = json_object_get(choice_value(answer, 0, "logprobs"), "content");
    expect_json(json_object_get(json_array_get(tokens, 0), "top_logprobs"), "[]");
    json_decref(answer);
    answer = chat("{" HELLO ",\"logprobs\":false,\"top_logprobs\":0,\"max_tokens\":1}");
    expect_json(choice_value(answer, 0, "logprobs"), "null");
    json_decref(answer);
    answer = chat("{" HELLO ",\"prompt_logprobs\":1,\"max_tokens\":1}");
    assert_int_equal(json_array_size(json_object_get(answer, "prompt_logprobs")), 20);
    assert_null(choice_value(answer, 0, "prompt_logprobs"));
    json_decref(answer);
}

struct streamed {
    char text[2][128];
    int roles[2], ends[2], tokens;
    bool has_usage;
};

static void take_chunk(struct streamed *s, const json_t *chunk) {
    const json_t *one = json_array_get(json_object_get(chunk, "choices"), 0);
    if (!one) {
        s->has_usage = usage(chunk, "completion_tokens") == 18;
        return;
    }
    size_t index = (size_t)json_integer_value(json_object_get(one, "index"));
    const json_t *delta = json_object_get(one, "delta"),
                 *logprobs = json_object_get(json_object_get(one, "logprobs"), "content");
    const char *text = json_string_value(json_object_get(delta, "content"));
    expect_json(json_object_get(chunk, "object"), "\"chat.completion.chunk\"");
    expect_json(json_object_get(chunk, "usage"), "null");
    assert_null(json_object_get(one, "message"));
    if (!*s->text[index] && !s->roles[index]) expect_json(json_object_get(delta, "role"), "\"assistant\"");
    s->roles[index] += json_object_get(delta, "role") != NULL;
    s->ends[index] += json_is_string(json_object_get(one, "finish_reason"));
    s->tokens += (int)json_array_size(logprobs);
    if (text) strncat(s->text[index], text, sizeof s->text[index] - strlen(s->text[index]) - 1);
}

/* The first part of each choice has the role, the last one why it ended, and all of them together the text. */
static void test_stream(void **state) {
    (void)state;
    static const char same[] =
        HELLO ",\"seed\":3,\"max_tokens\":9,\"n\":2,\"ignore_eos\":true,\"logprobs\":true";
    char body[512];
    struct streamed s = {0};
    snprintf(body, sizeof body, "{%s}", same);
    json_t *whole = chat(body);
    snprintf(body, sizeof body, "{%s,\"stream\":true,\"stream_options\":{\"include_usage\":true}}", same);
    struct answer a = http_post(&d, "/chat/completions", body);
    assert_int_equal(a.status, 200);
    assert_string_equal(answer_header(&a, "Content-Type"), "text/event-stream");
    for (const char *at = a.body; (at = strstr(at, "data: {")); at++) {
        json_t *chunk = json_loads(at + 6, JSON_DISABLE_EOF_CHECK, NULL);
        assert_non_null(chunk);
        take_chunk(&s, chunk);
        json_decref(chunk);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(s.text[i], content(whole, i));
        assert_int_equal(s.roles[i], 1);
        assert_int_equal(s.ends[i], 1);
    }
    assert_int_equal(s.tokens, 18);
    assert_true(s.has_usage);
    assert_non_null(strstr(a.body, "data: [DONE]\n\n"));
    answer_free(&a);
    json_decref(whole);
}

static void test_stop(void **state) {
    (void)state;
    json_t *answer = chat("{" HELLO ",\"allowed_token_ids\":[97],\"stop\":[\"a\"],\"max_tokens\":9}");
    expect_json(choice_value(answer, 0, "finish_reason"), "\"stop\"");
    expect_json(choice_value(answer, 0, "stop_reason"), "\"a\"");
    assert_string_equal(content(answer, 0), "");
    json_decref(answer);
}

static void test_apply_template(void **state) {
    (void)state;
    static const struct {
        const char *body, *answer;
    } cases[] = {
        {"{" HELLO "}", "{\"prompt\":\"<user>Hi\\n<assistant>\"}"},
        {"{\"messages\":[]}", "{\"prompt\":\"<assistant>\"}"}, /* some templates begin by themselves */
        {"{" HELLO ",\"add_generation_prompt\":false}", "{\"prompt\":\"<user>Hi\\n\"}"},
        {"{" HELLO ",\"continue_final_message\":true}", "{\"prompt\":\"<user>Hi\"}"},
        {"{" HELLO ",\"chat_template_kwargs\":{\"tail\":\"\\u0000\\\"\"}}",
         "{\"prompt\":\"<user>Hi\\n\\u0000\\\"<assistant>\"}"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = http_post(&d, "/apply-template", cases[i].body);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body, cases[i].answer);
        answer_free(&a);
    }
}

static void test_tokenize_messages(void **state) {
    (void)state;
    struct answer a = http_post(&d, "/tokenize",
                                "{\"messages\":[{\"role\":\"u\",\"content\":\"<\"}],"
                                "\"add_generation_prompt\":false}");
    assert_string_equal(a.body, "{\"tokens\":[257,117,258,60,10],\"count\":5,\"max_model_len\":2048}");
    answer_free(&a);
}

/* It says so, and where to go. Everything else works. */
static void test_without_template(void **state) {
    (void)state;
    struct daemon other;
    static const char *const paths[] = {"/v1/chat/completions", "/apply-template", "/tokenize"};
    daemon_start_fake(&other, "no-chat", NULL);
    for (size_t i = 0; i < 3; i++) {
        struct answer a = http_post(&other, paths[i], "{" HELLO "}");
        assert_int_equal(a.status, 400);
        assert_non_null(strstr(a.body, "answers no conversations: it was told so. "));
        assert_non_null(strstr(a.body, "/v1/completions"));
        answer_free(&a);
    }
    json_decref(complete(&other, "{\"prompt\":\"a\"}"));
    daemon_stop(&other);
}

/* All that is taken for a conversation is given back. */
static void test_memory_is_given_back(void **state) {
    (void)state;
    wait_metric(&d, "prenorm_reading_memory_bytes", 0);
    wait_metric(&d, "prenorm_http_body_bytes_held", 0);
    wait_metric(&d, "prenorm_encode_requests", 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_same_text_as_the_completion),
        cmocka_unit_test(test_prompt_ids),
        cmocka_unit_test(test_forms_of_content),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_apply_template),
        cmocka_unit_test(test_tokenize_messages),
        cmocka_unit_test(test_without_template),
        cmocka_unit_test(test_memory_is_given_back),
    };
    return cmocka_run_group_tests(tests, one_fake_daemon_start, one_fake_daemon_stop);
}
