/* Events into answers, without a network: the order in which an engine delivers must not show. */
#include "tests/support/test_support.h"

#include <jansson.h>

#include "server/completion/completion.h"
#include "tests/support/fake_engine.h"

static struct engine *engine;

static void on_wake(void *context) {
    (void)context;
}

static int setup(void **state) {
    (void)state;
    const struct engine_options options = {.model = "fake",
                                           .wake = on_wake,
                                           .max_pending_events = 64,
                                           .sequences_max = 8,
                                           .queue_max = 64,
                                           .logprobs_max = 20};
    struct error e;
    return engine_open(&options, &engine, &e) != STATUS_OK;
}

static int teardown(void **state) {
    (void)state;
    engine_close(engine);
    return 0;
}

static const struct api_limits standard_limits = {.context = FAKE_CONTEXT,
                                                  .vocabulary = FAKE_VOCABULARY,
                                                  .logprobs_max = 20,
                                                  .n_max = 16,
                                                  .choices_max = 128,
                                                  .stops_max = 16,
                                                  .stop_bytes_max = 4500,
                                                  .tokenize_ids_max = 8192,
                                                  .model = "m"};

static struct completion *prepare_within(const char *body, struct serving_memory *memory,
                                         struct api_error *e) {
    struct api_limits limits = standard_limits;
    struct completion *c = completion_create(engine, "m", "f", NULL);
    assert_non_null(c);
    limits.memory = memory;
    *e = (struct api_error){0};
    completion_prepare(c, body, strlen(body), &limits, e);
    return c;
}

static struct completion *prepare(const char *body) {
    struct api_error e;
    struct completion *c = prepare_within(body, NULL, &e);
    if (e.kind != API_OK) fail_msg("%s", e.message);
    return c;
}

static json_t *written(struct completion *c) {
    struct bytes out = {0};
    completion_write(&out, c);
    assert_false(out.failed);
    json_t *json = json_loadb(out.data, out.length, 0, NULL);
    assert_non_null(json);
    bytes_deinit(&out);
    return json;
}

static json_t *choice_field(const json_t *answer, size_t index, const char *name) {
    return json_object_get(json_array_get(json_object_get(answer, "choices"), index), name);
}

static void token(struct prompt *p, uint32_t choice, int32_t id, const char *text, float logprob) {
    struct engine_event event = {.kind = ENGINE_EVENT_TOKEN,
                                 .choice = choice,
                                 .id = id,
                                 .text = text,
                                 .text_length = strlen(text),
                                 .has_logprob = true,
                                 .logprob = logprob};
    completion_event(p, &event);
}

static void finish(struct prompt *p, uint32_t choice, const char *text, enum engine_finish how) {
    struct engine_event event = {.kind = ENGINE_EVENT_FINISHED,
                                 .choice = choice,
                                 .finish = how,
                                 .text = text,
                                 .text_length = strlen(text),
                                 .stop_string = -1,
                                 .stop_token = -1,
                                 .completion_tokens = 2,
                                 .cached_tokens = 1};
    completion_event(p, &event);
}

static void score(struct prompt *p, int32_t id, bool has_logprob) {
    struct engine_event event = {.kind = ENGINE_EVENT_PROMPT,
                                 .id = id,
                                 .has_logprob = has_logprob,
                                 .logprob = -1,
                                 .text = "",
                                 .rank = 5};
    completion_event(p, &event);
}

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

/* Offsets count characters, and look past text that is held back for a stop string. */
static void test_offsets(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":\"\\u00e9\",\"echo\":true,\"logprobs\":0,\"stop\":\"xyz\"}");
    struct prompt *p = &c->prompts[0];
    score(p, 0xc3, false);
    score(p, 0xa9, true);
    token(p, 0, 'x', "", -1);
    token(p, 0, 'y', "", -1);
    token(p, 0, 'a', "xya", -1);
    token(p, 0, 0xc3, "", -1);
    token(p, 0, 0xa9, "\xc3\xa9", -1);
    token(p, 0, 'b', "b", -1);
    finish(p, 0, "", ENGINE_FINISH_STOP);
    json_t *json = written(c), *expected = json_loads("[0,0,1,2,3,4,4,5]", 0, NULL);
    assert_string_equal(json_string_value(choice_field(json, 0, "text")), "\xc3\xa9xya\xc3\xa9"
                                                                          "b");
    assert_true(json_equal(json_object_get(choice_field(json, 0, "logprobs"), "text_offset"), expected));
    json_decref(expected);
    json_decref(json);
    completion_destroy(c);
}

/* A token that the text of the prompt does not have takes no room in it. */
static void test_offsets_of_special_tokens(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":[256,97,98],\"echo\":true,\"logprobs\":0,\"max_tokens\":0}");
    struct prompt *p = &c->prompts[0];
    score(p, 256, false);
    score(p, 'a', true);
    score(p, 'b', true);
    finish(p, 0, "", ENGINE_FINISH_LENGTH);
    json_t *json = written(c), *expected = json_loads("[0,0,1]", 0, NULL);
    assert_string_equal(json_string_value(choice_field(json, 0, "text")), "ab");
    assert_true(json_equal(json_object_get(choice_field(json, 0, "logprobs"), "text_offset"), expected));
    json_decref(expected);
    json_decref(json);
    completion_destroy(c);
}

/* Order of events between choices and prompts does not show; usage is summed, the prompt counted once. */
static void test_any_order(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":[\"ab\",\"c\"],\"n\":2}");
    for (uint32_t choice = 2; choice-- > 0;)
        for (size_t i = 2; i-- > 0;) {
            char text[2] = {(char)('a' + 2 * i + choice), '\0'};
            token(&c->prompts[i], choice, text[0], text, -1);
        }
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(c->finished, i / 3);
        finish(&c->prompts[(i + 1) % 2], (i / 2 + 1) % 2, "!", ENGINE_FINISH_LENGTH);
    }
    assert_int_equal(c->finished, 2);
    json_t *json = written(c);
    static const char *const texts[] = {"a!", "b!", "c!", "d!"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(json_integer_value(choice_field(json, i, "index")), i);
        assert_string_equal(json_string_value(choice_field(json, i, "text")), texts[i]);
    }
    json_t *expected = json_loads("{\"prompt_tokens\":3,\"completion_tokens\":8,\"total_tokens\":11,"
                                  "\"prompt_tokens_details\":{\"cached_tokens\":2}}",
                                  0, NULL);
    assert_true(json_equal(json_object_get(json, "usage"), expected));
    json_decref(expected);
    json_decref(json);
    completion_destroy(c);
}

static void test_first_failure_counts(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":\"ab\",\"n\":2}");
    finish(&c->prompts[0], 0, "", ENGINE_FINISH_CANCELLED);
    assert_int_equal(c->failure.kind, API_DRAINING);
    finish(&c->prompts[0], 1, "", ENGINE_FINISH_FAILED);
    assert_int_equal(c->failure.kind, API_DRAINING);
    completion_destroy(c);
}

/* What was generated in time is the answer, whoever of the choices has it; nothing at all is a failure. */
static void test_time_limit(void **state) {
    (void)state;
    for (int any = 0; any < 2; any++) {
        struct completion *c = prepare("{\"prompt\":[\"ab\",\"cd\"]}");
        finish(&c->prompts[0], 0, "", ENGINE_FINISH_TIMEOUT);
        assert_int_equal(c->failure.kind, API_OK);
        if (any) token(&c->prompts[1], 0, 'x', "x", -1);
        finish(&c->prompts[1], 0, "y", ENGINE_FINISH_TIMEOUT);
        assert_int_equal(c->failure.kind, any ? API_OK : API_TIMEOUT);
        if (any) {
            json_t *json = written(c);
            assert_string_equal(json_string_value(choice_field(json, 0, "text")), "");
            assert_string_equal(json_string_value(choice_field(json, 1, "text")), "xy");
            for (size_t i = 0; i < 2; i++) {
                assert_string_equal(json_string_value(choice_field(json, i, "finish_reason")), "length");
                assert_string_equal(json_string_value(choice_field(json, i, "stop_reason")), "timeout");
            }
            json_decref(json);
        }
        completion_destroy(c);
    }
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

static enum api_error_kind prepare_refused(const char *body, struct api_error *e) {
    struct completion *c = completion_create(engine, "m", "f", NULL);
    assert_non_null(c);
    enum api_error_kind kind = completion_prepare(c, body, strlen(body), &standard_limits, e);
    assert_null(c->ticket);
    completion_destroy(c);
    return kind;
}

/* Without places in the queue no text is encoded and nothing is made; what was refused holds no places. */
static void test_a_full_queue_makes_nothing(void **state) {
    (void)state;
    struct completion *full[4];
    struct api_error e = {0};
    for (int i = 0; i < 4; i++) full[i] = prepare("{\"prompt\":\"ab\",\"n\":16,\"max_tokens\":2}");
    size_t made = fake_engine_requests_made(), encoded = fake_engine_texts_encoded();
    assert_int_equal(completion_check_room(engine, &e), API_QUEUE_FULL);
    assert_int_equal(prepare_refused("{\"prompt\":[\"ab\",\"cd\"],\"n\":16,\"stop\":[\"long\"]}", &e),
                     API_QUEUE_FULL);
    assert_int_equal(fake_engine_requests_made(), made);
    assert_int_equal(fake_engine_texts_encoded(), encoded);
    completion_destroy(full[3]);
    assert_int_equal(completion_check_room(engine, &e), API_OK);
    assert_int_equal(prepare_refused("{\"prompt\":[\"ab\",\"cd\"],\"n\":16}", &e), API_QUEUE_FULL);
    full[3] = prepare("{\"prompt\":\"ab\",\"n\":16}"); /* there is room for it */
    assert_int_equal(completion_submit(full[3], &e), API_OK);
    for (int i = 0; i < 4; i++) completion_destroy(full[i]);
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.running + stats.waiting, 0);
}

/* A prompt that is too long says so; one with an id that the model has not is another fault. */
static void test_codes_of_bad_prompts(void **state) {
    (void)state;
    struct api_error e = {0};
    char body[3000];
    assert_int_equal(prepare_refused("{\"prompt\":[97,318]}", &e), API_INVALID);
    assert_string_equal(e.param, "prompt");
    assert_non_null(strstr(e.message, "318"));
    int length = snprintf(body, sizeof body, "{\"prompt\":\"");
    memset(body + length, 'a', FAKE_CONTEXT);
    strcpy(body + length + FAKE_CONTEXT, "\"}");
    assert_int_equal(prepare_refused(body, &e), API_CONTEXT_LENGTH);
    assert_string_equal(e.param, "prompt");
}

/* Ranges in messages are those of this server, not of the table. */
static void test_ranges_are_the_configured_ones(void **state) {
    (void)state;
    struct api_error e = {0};
    static const char *const bodies[] = {
        "{\"prompt\":\"a\",\"n\":17}",        "{\"prompt\":\"a\",\"n\":500}",
        "{\"prompt\":\"a\",\"n\":0}",         "{\"prompt\":\"a\",\"best_of\":200}",
        "{\"prompt\":\"a\",\"logprobs\":21}", "{\"prompt\":\"a\",\"logprobs\":-2}"};
    static const char *const ranges[] = {"between 1 and 16", "between 1 and 16", "between 1 and 16",
                                         "between 1 and 16", "between 0 and 20", "between 0 and 20"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        assert_int_equal(prepare_refused(bodies[i], &e), API_INVALID);
        if (!strstr(e.message, ranges[i])) fail_msg("%s: %s", bodies[i], e.message);
    }
}

/* The strings that one request may bring are bounded together, too. */
static void test_stop_bytes(void **state) {
    (void)state;
    struct api_error e = {0};
    char body[8192], *at = body;
    at += sprintf(at, "{\"prompt\":\"a\",\"stop\":[");
    for (int i = 0; i < 3; i++) at += sprintf(at, "%s\"%0*d\"", i ? "," : "", 1500 + (i == 2), 1);
    strcpy(at, "]}");
    assert_int_equal(prepare_refused(body, &e), API_INVALID);
    assert_string_equal(e.param, "stop");
    assert_non_null(strstr(e.message, "4501 bytes"));
    assert_non_null(strstr(e.message, "at most 4500"));
}

/* Handles are given back by completion_destroy, whatever state it is in. */
static void test_submit_and_destroy(void **state) {
    (void)state;
    struct api_error e;
    struct completion *c = prepare("{\"prompt\":[\"ab\",\"cd\"],\"max_tokens\":500}");
    assert_int_equal(completion_submit(c, &e), API_OK);
    completion_destroy(c);
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.running + stats.waiting, 0);
}

static void expect_field(const json_t *answer, const char *name, const char *expected) {
    json_t *json = json_loads(expected, JSON_DECODE_ANY, NULL);
    const json_t *found = choice_field(answer, 0, name);
    assert_non_null(json);
    if (!json_equal(found, json)) {
        char *text = json_dumps(found, JSON_ENCODE_ANY);
        fail_msg("%s is %s, not %s", name, text ? text : "absent", expected);
    }
    json_decref(json);
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

static void test_request_id(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":\"a\",\"request_id\":\"my-1.a_b\"}");
    assert_string_equal(c->id, "cmpl-my-1.a_b");
    completion_destroy(c);
}

static void expect_ids(const char *body, const char *expected) {
    struct completion *c = prepare(body);
    assert_int_equal(c->prompts[0].count, strlen(expected));
    for (size_t i = 0; i < strlen(expected); i++) assert_int_equal(c->prompts[0].ids[i], expected[i]);
    if (c->params.echo) assert_string_equal(c->prompts[0].echo, expected);
    completion_destroy(c);
}

/* The last ids are kept, or the first; -1 leaves room for max_tokens. */
static void test_truncation(void **state) {
    (void)state;
    expect_ids("{\"prompt\":\"abcdef\",\"truncate_prompt_tokens\":2,\"echo\":true}", "ef");
    expect_ids("{\"prompt\":\"abcdef\",\"truncate_prompt_tokens\":2,\"truncation_side\":\"right\"}", "ab");
    expect_ids("{\"prompt\":[97,98,99],\"truncate_prompt_tokens\":2,\"echo\":true}", "bc");
    expect_ids("{\"prompt\":[97,98,99],\"truncate_prompt_tokens\":2,\"truncation_side\":\"right\"}", "ab");
    expect_ids("{\"prompt\":\"abc\",\"truncate_prompt_tokens\":3,\"echo\":true}", "abc");
    expect_ids("{\"prompt\":\"abc\",\"truncate_prompt_tokens\":-1,\"max_tokens\":2046}", "bc");
    expect_ids("{\"prompt\":\"abc\",\"truncate_prompt_tokens\":-1,\"max_tokens\":100000}", "abc");
}

/* The rest of a character comes with what is generated: half of it is not echoed. Without an echo and without
 * a token there is no text. */
static void test_what_a_prompt_leaves_unfinished(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":[97,226,130],\"echo\":true,\"logprobs\":0}");
    struct prompt *p = &c->prompts[0];
    score(p, 'a', false);
    score(p, 0xe2, true);
    score(p, 0x82, true);
    token(p, 0, 0xac, "\xe2\x82\xac", -1);
    token(p, 0, 'b', "b", -1);
    finish(p, 0, "", ENGINE_FINISH_LENGTH);
    json_t *json = written(c);
    expect_field(json, "text",
                 "\"a\xe2\x82\xac"
                 "b\"");
    json_t *expected = json_loads("[0,1,1,1,2]", 0, NULL);
    assert_true(json_equal(json_object_get(choice_field(json, 0, "logprobs"), "text_offset"), expected));
    json_decref(expected);
    json_decref(json);
    completion_destroy(c);
    c = prepare("{\"prompt\":[97,226],\"max_tokens\":0}");
    finish(&c->prompts[0], 0, "\uFFFD", ENGINE_FINISH_LENGTH);
    json = written(c);
    expect_field(json, "text", "\"\"");
    json_decref(json);
    completion_destroy(c);
}

/* Bytes that turn out to be no character become U+FFFD, in the prompt and in what is generated: what comes
 * behind starts behind it. */
static void test_offsets_behind_replaced_bytes(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":[97,226,98],\"echo\":true,\"logprobs\":0}");
    struct prompt *p = &c->prompts[0];
    free(p->echo); /* as the engine's decoder has it; the fake one leaves bytes as they are */
    p->echo = strdup("a\uFFFD"
                     "b");
    p->echo_length = 5, p->echo_characters = 3;
    score(p, 'a', false);
    score(p, 0xe2, true);
    score(p, 'b', true);
    token(p, 0, 0xe2, "", -1);
    token(p, 0, 'c',
          "\uFFFD"
          "c",
          -1);
    token(p, 0, 'd', "d", -1);
    finish(p, 0, "", ENGINE_FINISH_LENGTH);
    json_t *json = written(c), *expected = json_loads("[0,1,2,3,4,5]", 0, NULL);
    assert_true(json_equal(json_object_get(choice_field(json, 0, "logprobs"), "text_offset"), expected));
    json_decref(expected);
    json_decref(json);
    completion_destroy(c);
}

/* In ids; behind a blank only where that is another first id of as many, which here it never is: a byte is an
 * id. */
static void test_bad_words(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":\"a\",\"bad_words\":[\"no\",\"  x\"]}");
    assert_int_equal(c->ban_count, 2);
    assert_int_equal(c->bans[0].count, 2);
    assert_int_equal(c->bans[0].ids[1], 'o');
    assert_int_equal(c->bans[1].count, 1);
    assert_int_equal(c->bans[1].ids[0], 'x');
    completion_destroy(c);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static struct serving_memory *make_memory(size_t answers_max) {
    struct serving_memory *m = calloc(1, sizeof *m);
    m->values_max = 1000;
    gate_init(&m->reading, 1 << 20);
    m->answers.max = answers_max;
    return m;
}

static void free_memory(struct serving_memory *m) {
    assert_int_equal(budget_used(&m->answers), 0);
    serving_memory_deinit(m);
    free(m);
}

/* A request takes for what it will need before it is admitted: what can never fit is told so, what does not
 * fit now may come again. */
static void test_takes_memory_before_admission(void **state) {
    (void)state;
    static const char body[] = "{\"prompt\":\"abcdef\",\"n\":4}";
    struct serving_memory *m = make_memory(1 << 20);
    struct api_error e;
    struct completion *c = prepare_within(body, m, &e);
    assert_int_equal(e.kind, API_OK);
    size_t one = budget_used(&m->answers);
    assert_true(one > 4 * (6 + 16) * sizeof(int32_t));
    m->answers.max = 2 * one - 1;
    struct completion *second = prepare_within(body, m, &e);
    assert_int_equal(e.kind, API_QUEUE_FULL);
    completion_destroy(second);
    assert_int_equal(budget_used(&m->answers), one);
    completion_destroy(c);
    m->answers.max = one - 1;
    c = prepare_within(body, m, &e);
    assert_int_equal(e.kind, API_BODY_TOO_LARGE);
    completion_destroy(c);
    m->answers.max = 1 << 20;
    c = prepare_within("{\"prompt\":[97,318]}", m, &e); /* found when all is taken */
    assert_int_equal(e.kind, API_INVALID);
    assert_int_equal(budget_used(&m->answers), 0);
    assert_null(c->ticket);
    completion_destroy(c);
    free_memory(m);
}

/* What its answer grows by is taken too; where there is no room it fails as busy. */
static void test_answers_take_memory(void **state) {
    (void)state;
    struct serving_memory *m = make_memory(1 << 20);
    struct api_error e;
    struct completion *c = prepare_within("{\"prompt\":\"a\",\"logprobs\":5,\"max_tokens\":2000}", m, &e);
    size_t admitted = budget_used(&m->answers), made = 0;
    for (; made < 100; made++) token(&c->prompts[0], 0, 'x', "xyz", -1);
    assert_true(budget_used(&m->answers) > admitted + 100 * 10);
    assert_int_equal(c->failure.kind, API_OK);
    m->answers.max = budget_used(&m->answers);
    for (; made < 1000 && c->failure.kind == API_OK; made++) token(&c->prompts[0], 0, 'x', "xyz", -1);
    assert_int_equal(c->failure.kind, API_QUEUE_FULL);
    assert_true(budget_used(&m->answers) <= m->answers.max);
    completion_drop_texts(&c->prompts[0]);
    assert_int_equal(budget_used(&m->answers), admitted);
    completion_destroy(c);
    free_memory(m);
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
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_offsets_of_special_tokens),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_first_failure_counts),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_chunk_after_the_time_of_the_scores),
        cmocka_unit_test(test_submit_and_destroy),
        cmocka_unit_test(test_prompt_logprobs),
        cmocka_unit_test(test_prompt_logprobs_beside_logprobs),
        cmocka_unit_test(test_tokens_as_ids),
        cmocka_unit_test(test_usage_goes_on),
        cmocka_unit_test(test_request_id),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_what_a_prompt_leaves_unfinished),
        cmocka_unit_test(test_offsets_behind_replaced_bytes),
        cmocka_unit_test(test_bad_words),
        cmocka_unit_test(test_takes_memory_before_admission),
        cmocka_unit_test(test_answers_take_memory),
        cmocka_unit_test(test_length_of_the_answer_is_known),
        cmocka_unit_test(test_a_full_queue_makes_nothing),
        cmocka_unit_test(test_codes_of_bad_prompts),
        cmocka_unit_test(test_ranges_are_the_configured_ones),
        cmocka_unit_test(test_stop_bytes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
