/* The JSON of answers and chunks. */
#include "completion_fixture.h"

/* Choice 1 is ahead of the scores of the prompt: its chunk waits for them, and begins with them. */
static void test_chunk_waits_for_the_scores(void **state) {
    (void)state;
    struct completion *c =
        prepare("{\"prompt\":\"ab\",\"n\":2,\"echo\":true,\"logprobs\":0,\"stream\":true}");
    struct prompt *p = &c->prompts[0];
    score(p, 'a', false);
    token(p, 1, 'x', "x", -2);
    assert_false(completion_has_chunk(p, &p->choices[1]));
    score(p, 'b', true);
    assert_true(completion_has_chunk(p, &p->choices[1]));
    assert_false(completion_has_chunk(p, &p->choices[0]));
    struct bytes out = {0};
    completion_write_chunk(&out, p, &p->choices[1]);
    json_t *json = json_loadb(out.data, out.length, 0, NULL);
    assert_string_equal(json_string_value(choice_field(json, 0, "text")), "abx");
    json_t *expected =
        json_loads("{\"tokens\":[\"a\",\"b\",\"x\"],\"token_logprobs\":[null,-1.0,-2.0],"
                   "\"top_logprobs\":[null,{\"b\":-1.0},{\"x\":-2.0}],\"text_offset\":[0,1,2]}",
                   0, NULL);
    assert_true(json_equal(choice_field(json, 0, "logprobs"), expected));
    assert_false(completion_has_chunk(p, &p->choices[1]));
    json_decref(expected);
    json_decref(json);
    bytes_deinit(&out);
    completion_destroy(c);
}

/* Of several texts that collide the larger value stays, also where the actual token is the smaller. */
static void test_top_collisions(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":\"ab\",\"logprobs\":3}");
    struct prompt *p = &c->prompts[0];
    const struct engine_top top[] = {{'q', -0.5f}, {'r', -0.75f}, {'q', -0.875f}};
    struct engine_event event = {.kind = ENGINE_EVENT_TOKEN,
                                 .id = 'z',
                                 .text = "z",
                                 .text_length = 1,
                                 .has_logprob = true,
                                 .logprob = -7,
                                 .top = top,
                                 .top_count = 3};
    completion_event(p, &event);
    event.id = 'q';
    event.logprob = -0.875f;
    completion_event(p, &event);
    finish(p, 0, "", ENGINE_FINISH_LENGTH);
    assert_int_equal(c->finished, 1);
    json_t *json = written(c),
           *expected = json_loads("[{\"q\":-0.5,\"r\":-0.75,\"z\":-7.0},{\"q\":-0.5,\"r\":-0.75}]", 0, NULL);
    assert_true(json_equal(json_object_get(choice_field(json, 0, "logprobs"), "top_logprobs"), expected));
    json_decref(expected);
    json_decref(json);
    completion_destroy(c);
}

/* The first choice is ended while it scores the prompt: no more scores come, and the others need not wait for
 * them. */
static void test_chunk_after_the_time_of_the_scores(void **state) {
    (void)state;
    struct completion *c =
        prepare("{\"prompt\":\"ab\",\"n\":2,\"echo\":true,\"logprobs\":0,\"stream\":true}");
    struct prompt *p = &c->prompts[0];
    struct bytes out = {0};
    score(p, 'a', false);
    token(p, 1, 'x', "x", -2);
    assert_false(completion_has_chunk(p, &p->choices[1]));
    finish(p, 0, "", ENGINE_FINISH_TIMEOUT);
    assert_true(completion_has_chunk(p, &p->choices[1]));
    assert_true(completion_has_chunk(p, &p->choices[0]));
    completion_write_chunk(&out, p, &p->choices[0]);
    assert_false(completion_has_chunk(p, &p->choices[0])); /* its end has been said */
    bytes_deinit(&out);
    completion_destroy(c);
}

/* As vLLM has it: the token itself with its rank, then those of the best that are others. */
static void test_prompt_logprobs(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":\"abc\",\"prompt_logprobs\":2,\"max_tokens\":1}");
    struct prompt *p = &c->prompts[0];
    const struct engine_top top[] = {{'q', -0.5f}, {'c', -0.75f}, {'r', -2}};
    score(p, 'a', false);
    score(p, 'b', true);
    struct engine_event event = {.kind = ENGINE_EVENT_PROMPT,
                                 .id = 'c',
                                 .has_logprob = true,
                                 .logprob = -0.75f,
                                 .rank = 2,
                                 .text = "",
                                 .top = top,
                                 .top_count = 3};
    completion_event(p, &event);
    token(p, 0, 'x', "x", -1);
    finish(p, 0, "", ENGINE_FINISH_LENGTH);
    json_t *json = written(c);
    expect_field(json, "prompt_logprobs",
                 "[null,{\"98\":{\"logprob\":-1.0,\"rank\":5,\"decoded_token\":\"b\"}},"
                 "{\"99\":{\"logprob\":-0.75,\"rank\":2,\"decoded_token\":\"c\"},"
                 "\"113\":{\"logprob\":-0.5,\"rank\":1,\"decoded_token\":\"q\"}}]");
    expect_field(json, "logprobs", "null");
    expect_field(json, "text", "\"x\"");
    json_decref(json);
    completion_destroy(c);
}

/* Of the alternatives that the engine gives for both each field has as many as were asked for. */
static void test_prompt_logprobs_beside_logprobs(void **state) {
    (void)state;
    struct completion *c =
        prepare("{\"prompt\":\"ab\",\"prompt_logprobs\":1,\"logprobs\":2,\"echo\":true,\"max_tokens\":1}");
    struct prompt *p = &c->prompts[0];
    const struct engine_top top[] = {{'q', -0.5f}, {'r', -2}};
    score(p, 'a', false);
    struct engine_event event = {.kind = ENGINE_EVENT_PROMPT,
                                 .id = 'b',
                                 .has_logprob = true,
                                 .logprob = -3,
                                 .rank = 3,
                                 .text = "",
                                 .top = top,
                                 .top_count = 2};
    completion_event(p, &event);
    finish(p, 0, "", ENGINE_FINISH_LENGTH);
    json_t *json = written(c);
    expect_field(json, "prompt_logprobs",
                 "[null,{\"98\":{\"logprob\":-3.0,\"rank\":3,\"decoded_token\":\"b\"},"
                 "\"113\":{\"logprob\":-0.5,\"rank\":1,\"decoded_token\":\"q\"}}]");
    expect_field(json, "logprobs",
                 "{\"tokens\":[\"a\",\"b\"],\"token_logprobs\":[null,-3.0],\"top_logprobs\":[null,"
                 "{\"q\":-0.5,\"r\":-2.0,\"b\":-3.0}],\"text_offset\":[0,1]}");
    json_decref(json);
    completion_destroy(c);
}

/* Names change, offsets do not. */
static void test_tokens_as_ids(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":\"ab\",\"logprobs\":1,\"echo\":true,\"max_tokens\":2,"
                                   "\"return_tokens_as_token_ids\":true}");
    struct prompt *p = &c->prompts[0];
    score(p, 'a', false);
    score(p, 'b', true);
    token(p, 0, 'x', "x", -1);
    token(p, 0, 'y', "y", -2);
    finish(p, 0, "", ENGINE_FINISH_LENGTH);
    json_t *json = written(c);
    expect_field(json, "logprobs",
                 "{\"tokens\":[\"token_id:97\",\"token_id:98\",\"token_id:120\",\"token_id:121\"],"
                 "\"token_logprobs\":[null,-1.0,-1.0,-2.0],\"top_logprobs\":[null,{\"token_id:98\":-1.0},"
                 "{\"token_id:120\":-1.0},{\"token_id:121\":-2.0}],\"text_offset\":[0,1,2,3]}");
    json_decref(json);
    completion_destroy(c);
}

/* Each chunk has what its own choice has used. */
static void test_usage_goes_on(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":\"abc\",\"n\":2,\"stream\":true,\"stream_options\":"
                                   "{\"continuous_usage_stats\":true}}");
    struct prompt *p = &c->prompts[0];
    for (int i = 1; i <= 3; i++) {
        struct bytes out = {0};
        token(p, 1, 'x', "x", -1);
        completion_write_chunk(&out, p, &p->choices[1]);
        json_t *json = json_loadb(out.data, out.length, 0, NULL), *usage = json_object_get(json, "usage");
        assert_int_equal(json_integer_value(json_object_get(usage, "prompt_tokens")), 3);
        assert_int_equal(json_integer_value(json_object_get(usage, "completion_tokens")), i);
        assert_int_equal(json_integer_value(json_object_get(usage, "total_tokens")), 3 + i);
        json_decref(json);
        bytes_deinit(&out);
    }
    completion_destroy(c);
}

static void test_length_of_the_answer_is_known(void **state) {
    (void)state;
    struct completion *c =
        prepare("{\"prompt\":\"ab\",\"n\":3,\"echo\":true,\"logprobs\":2,\"return_token_ids\":true}");
    struct prompt *p = &c->prompts[0];
    struct bytes out = {0};
    score(p, 'a', false);
    score(p, 'b', true);
    for (uint32_t i = 0; i < 3; i++) {
        for (int j = 0; j < 200; j++) token(p, i, 'x', "\"\n", -2);
        finish(p, i, "", ENGINE_FINISH_LENGTH);
    }
    size_t expected = completion_answer_bytes(c);
    completion_write(&out, c);
    assert_true(out.length <= expected && expected < 2 * out.length + 4096);
    bytes_deinit(&out);
    completion_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunk_waits_for_the_scores),
        cmocka_unit_test(test_top_collisions),
        cmocka_unit_test(test_chunk_after_the_time_of_the_scores),
        cmocka_unit_test(test_prompt_logprobs),
        cmocka_unit_test(test_prompt_logprobs_beside_logprobs),
        cmocka_unit_test(test_tokens_as_ids),
        cmocka_unit_test(test_usage_goes_on),
        cmocka_unit_test(test_length_of_the_answer_is_known),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
