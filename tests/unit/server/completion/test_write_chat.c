/* The shape of chats: what tests over a whole server cannot bring about. */
#include "completion_fixture.h"

static struct completion *chat_with(const char *fields) {
    char body[256];
    struct api_error e = {0};
    struct completion *c = completion_create(engine, API_CHAT, "m", "f", NULL);
    assert_non_null(c);
    snprintf(body, sizeof body, "{\"messages\":[{\"role\":\"u\",\"content\":\"a\"}]%s}", fields);
    if (completion_prepare(c, body, strlen(body), &standard_limits, &e) != API_OK) fail_msg("%s", e.message);
    return c;
}

/* Bytes that are no text by themselves: the name says so, `bytes` are the token's own. */
static void test_bytes_of_a_token(void **state) {
    (void)state;
    struct completion *c = chat_with(",\"logprobs\":true");
    struct prompt *p = &c->prompts[0];
    token(p, 0, 0xe2, "", -1);
    token(p, 0, FAKE_END, "", -2);
    finish(p, 0, "", ENGINE_FINISH_LENGTH);
    json_t *json = written(c);
    json_t *expected = json_loads(
        "{\"content\":[{\"token\":\"bytes:\\\\xe2\",\"logprob\":-1.0,\"bytes\":[226],\"top_logprobs\":[]},"
        "{\"token\":\"<256>\",\"logprob\":-2.0,\"bytes\":[60,50,53,54,62],\"top_logprobs\":[]}],"
        "\"refusal\":null}",
        0, NULL);
    assert_non_null(expected);
    assert_true(json_equal(choice_field(json, 0, "logprobs"), expected));
    json_decref(expected);
    json_decref(json);
    completion_destroy(c);
}

static json_t *chunk(struct prompt *p) {
    struct bytes out = {0};
    completion_write_chunk(&out, p, &p->choices[0]);
    json_t *json = json_loadb(out.data, out.length, 0, NULL);
    assert_non_null(json);
    bytes_deinit(&out);
    return json;
}

static void expect_chunk(struct prompt *p, const char *delta, bool has_logprobs) {
    json_t *json = chunk(p), *expected = json_loads(delta, 0, NULL);
    assert_non_null(expected);
    assert_true(json_equal(choice_field(json, 0, "delta"), expected));
    assert_int_equal(json_is_object(choice_field(json, 0, "logprobs")), has_logprobs);
    json_decref(expected);
    json_decref(json);
}

/* The role once; an end that brings no text is an empty delta. */
static void test_parts(void **state) {
    (void)state;
    struct completion *c = chat_with(",\"logprobs\":true,\"stream\":true");
    struct prompt *p = &c->prompts[0];
    token(p, 0, 'x', "x", -2);
    expect_chunk(p, "{\"role\":\"assistant\",\"content\":\"x\"}", true);
    token(p, 0, 'y', "", -2);
    expect_chunk(p, "{}", true);
    finish(p, 0, "", ENGINE_FINISH_STOP);
    expect_chunk(p, "{}", false);
    assert_false(completion_has_chunk(p, &p->choices[0]));
    completion_destroy(c);
}

/* An end without any token still says who speaks. */
static void test_empty_stream(void **state) {
    (void)state;
    struct completion *c = chat_with(",\"stream\":true");
    finish(&c->prompts[0], 0, "", ENGINE_FINISH_STOP);
    expect_chunk(&c->prompts[0], "{\"role\":\"assistant\",\"content\":\"\"}", false);
    completion_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_of_a_token),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_empty_stream),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
