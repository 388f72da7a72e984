/* Events into answers, without a network: the order in which an engine delivers must not show. */
#include "completion_fixture.h"

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

static void test_grammars_that_take_all_memory_make_the_server_busy(void **state) {
    (void)state;
    static const struct {
        enum status code;
        enum api_error_kind kind;
    } cases[] = {{STATUS_BUSY, API_QUEUE_FULL}, {STATUS_MALFORMED, API_INTERNAL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct completion *c = prepare("{\"prompt\":\"ab\"}");
        struct error cause;
        error_set(&cause, cases[i].code, "structured_outputs", "too much");
        const struct engine_event event = {
            .kind = ENGINE_EVENT_FINISHED, .text = "", .finish = ENGINE_FINISH_FAILED, .error = &cause};
        completion_event(&c->prompts[0], &event);
        assert_int_equal(c->failure.kind, cases[i].kind);
        completion_destroy(c);
    }
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

/* Ids may be a window that begins inside a character; the bytes of those behind it are found nevertheless. */
static void test_offsets_of_characters_behind_replaced_bytes(void **state) {
    static const int32_t ids[] = {0x80, 0xe2, 0x82, 0xac, 'b', 0xc3, 0xf8, 0xd3, 0x88, 'c'};
    (void)state;
    struct completion *c = prepare(
        "{\"prompt\":[128,226,130,172,98,195,248,211,136,99],\"echo\":true,\"logprobs\":0,\"max_tokens\":0}");
    struct prompt *p = &c->prompts[0];
    free(p->echo); /* as the engine's decoder has it */
    p->echo = strdup("\uFFFD\xe2\x82\xac"
                     "b\uFFFD\uFFFD\xd3\x88"
                     "c");
    p->echo_length = strlen(p->echo), p->echo_characters = 7;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) score(p, ids[i], i > 0);
    finish(p, 0, "", ENGINE_FINISH_LENGTH);
    json_t *json = written(c), *expected = json_loads("[0,1,1,1,2,3,3,5,5,6]", 0, NULL);
    assert_true(json_equal(json_object_get(choice_field(json, 0, "logprobs"), "text_offset"), expected));
    json_decref(expected);
    json_decref(json);
    completion_destroy(c);
}

/* What its answer grows by is taken too; where there is no room it fails: as busy where others hold the rest,
 * by its size where it alone holds all. */
static void answer_until_full(size_t of_others, enum api_error_kind kind) {
    struct serving_memory *m = make_memory(1 << 20);
    struct api_error e;
    struct completion *c = prepare_within("{\"prompt\":\"a\",\"logprobs\":5,\"max_tokens\":2000}", m, &e);
    size_t admitted = budget_used(&m->answers), made = 0;
    for (; made < 100; made++) token(&c->prompts[0], 0, 'x', "xyz", -1);
    assert_true(budget_used(&m->answers) > admitted + 100 * 10);
    assert_int_equal(c->failure.kind, API_OK);
    budget_force(&m->answers, of_others);
    m->answers.max = budget_used(&m->answers);
    for (; made < 1000 && c->failure.kind == API_OK; made++) token(&c->prompts[0], 0, 'x', "xyz", -1);
    assert_int_equal(c->failure.kind, kind);
    assert_true(budget_used(&m->answers) <= m->answers.max);
    completion_drop_texts(&c->prompts[0]);
    assert_int_equal(budget_used(&m->answers), admitted + of_others);
    completion_destroy(c);
    budget_give(&m->answers, of_others);
    free_memory(m);
}

static void test_answers_take_memory(void **state) {
    (void)state;
    answer_until_full(0, API_BODY_TOO_LARGE);
    answer_until_full(1 << 16, API_QUEUE_FULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_offsets_of_special_tokens),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_first_failure_counts),
        cmocka_unit_test(test_grammars_that_take_all_memory_make_the_server_busy),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_what_a_prompt_leaves_unfinished),
        cmocka_unit_test(test_offsets_behind_replaced_bytes),
        cmocka_unit_test(test_offsets_of_characters_behind_replaced_bytes),
        cmocka_unit_test(test_answers_take_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
