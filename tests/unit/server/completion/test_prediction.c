/* `prediction`: a text in ids, and what usage says of it. */
#include "completion_fixture.h"

#define PREDICTION(content)                                                                                  \
    "{\"prompt\":\"a\",\"n\":2,\"prediction\":{\"type\":\"content\",\"content\":" content "}}"

/* A byte is an id here. */
static void expect_ids(const char *body, const char *ids) {
    struct completion *c = prepare(body);
    assert_int_equal(c->prediction_count, strlen(ids));
    for (size_t i = 0; i < c->prediction_count; i++) assert_int_equal(c->prediction[i], ids[i]);
    completion_destroy(c);
}

static void a_text_or_parts_become_ids(void **state) {
    (void)state;
    expect_ids(PREDICTION("\"bcd\""), "bcd");
    expect_ids(PREDICTION("\"\""), "");
    expect_ids(PREDICTION("[]"), "");
    expect_ids(PREDICTION("[{\"type\":\"text\",\"text\":\"bc\"},{\"type\":\"text\",\"text\":\"\"},"
                          "{\"type\":\"text\",\"text\":\"d\"}]"),
               "bcd");
    expect_ids("{\"prompt\":\"a\",\"prediction\":null}", "");
}

static void refused(const char *body, const char *words) {
    struct api_error e;
    struct completion *c = prepare_within(body, NULL, &e);
    assert_int_equal(e.kind, API_INVALID);
    if (!strstr(e.message, words)) fail_msg("%s; expected '%s'", e.message, words);
    completion_destroy(c);
}

/* In one part or in several. */
static void what_is_longer_than_the_context_is_refused(void **state) {
    (void)state;
    static char body[3 * FAKE_CONTEXT], half[FAKE_CONTEXT];
    memset(half, 'x', FAKE_CONTEXT / 2);
    snprintf(body, sizeof body,
             PREDICTION("[{\"type\":\"text\",\"text\":\"%s\"},{\"type\":\"text\",\"text\":\"%s\"}]"), half,
             half);
    struct completion *c = prepare(body);
    assert_int_equal(c->prediction_count, FAKE_CONTEXT);
    completion_destroy(c);
    snprintf(body, sizeof body,
             PREDICTION("[{\"type\":\"text\",\"text\":\"%s\"},{\"type\":\"text\",\"text\":\"%sx\"}]"), half,
             half);
    refused(body, "longer than this model's context of 2048 tokens");
    snprintf(body, sizeof body,
             PREDICTION("[{\"type\":\"text\",\"text\":\"%s%s\"},{\"type\":\"text\",\"text\":\"x\"}]"), half,
             half);
    refused(body, "longer than this model's context");
}

static void end(struct prompt *p, uint32_t choice, uint32_t predicted) {
    struct engine_event event = {.kind = ENGINE_EVENT_FINISHED,
                                 .choice = choice,
                                 .text = "",
                                 .finish = ENGINE_FINISH_LENGTH,
                                 .stop_string = -1,
                                 .stop_token = -1,
                                 .completion_tokens = 1,
                                 .predicted_tokens = predicted};
    token(p, choice, 'x', "x", -1);
    completion_event(p, &event);
}

/* Summed over choices; what no choice had counts for each. */
static void usage_has_what_was_right_and_what_was_not(void **state) {
    (void)state;
    struct completion *c = prepare(PREDICTION("\"bcdef\""));
    end(&c->prompts[0], 0, 3);
    end(&c->prompts[0], 1, 5);
    json_t *json = written(c), *details, *expected;
    details = json_object_get(json_object_get(json, "usage"), "completion_tokens_details");
    expected = json_loads("{\"accepted_prediction_tokens\":8,\"rejected_prediction_tokens\":2}", 0, NULL);
    assert_true(json_equal(details, expected));
    json_decref(expected);
    json_decref(json);
    completion_destroy(c);
}

static void usage_has_nothing_of_it_where_there_was_none(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":\"a\"}");
    end(&c->prompts[0], 0, 0);
    json_t *json = written(c);
    assert_null(json_object_get(json_object_get(json, "usage"), "completion_tokens_details"));
    json_decref(json);
    completion_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_or_parts_become_ids),
        cmocka_unit_test(what_is_longer_than_the_context_is_refused),
        cmocka_unit_test(usage_has_what_was_right_and_what_was_not),
        cmocka_unit_test(usage_has_nothing_of_it_where_there_was_none),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
