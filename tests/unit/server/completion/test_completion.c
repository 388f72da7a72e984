/* A body into a completion: what is refused, and what is taken for it. */
#include "completion_fixture.h"

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

/* In ids: a byte is one, so that none is another behind a blank. */
static void test_bad_words(void **state) {
    (void)state;
    struct api_error e = {0};
    struct completion *c = prepare("{\"prompt\":\"a\",\"bad_words\":[\"no\",\"  x\"]}");
    assert_int_equal(c->ban_count, 2);
    assert_int_equal(c->bans[0].count, 2);
    assert_int_equal(c->bans[0].ids[1], 'o');
    assert_int_equal(c->bans[1].count, 1);
    assert_int_equal(c->bans[1].ids[0], 'x');
    completion_destroy(c);
    assert_int_equal(prepare_refused("{\"prompt\":\"a\",\"bad_words\":[\"no\",\" \"]}", &e), API_INVALID);
    assert_string_equal(e.param, "bad_words");
    assert_string_equal(e.message, "'bad_words' has a string of blanks alone.");
}

/* As it comes from a client that sends none: no bytes at no address. */
static void test_no_body(void **state) {
    (void)state;
    struct api_error e = {0};
    struct completion *c = completion_create(engine, API_COMPLETIONS, "m", "f", NULL);
    assert_non_null(c);
    assert_int_equal(completion_prepare(c, NULL, 0, &standard_limits, &e), API_INVALID);
    assert_non_null(strstr(e.message, "is empty"));
    completion_destroy(c);
}

static void test_request_id(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":\"a\",\"request_id\":\"my-1.a_b\"}");
    assert_string_equal(c->id, "cmpl-my-1.a_b");
    completion_destroy(c);
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

/* The least memory for reading with which a body is not refused. */
static size_t reading_needed(enum api_endpoint endpoint, const char *first, const char *second) {
    struct serving_memory *m = make_memory(1 << 20);
    struct api_limits limits = standard_limits;
    char body[2200];
    size_t least = 0, most = 1 << 20;
    snprintf(body, sizeof body, "{\"%s\":\"%01000d\",\"%s\":\"%01000d\"}", first, 0, second, 0);
    limits.memory = m;
    while (least < most) {
        struct api_error e = {0};
        struct completion *c = completion_create(engine, endpoint, "m", "f", NULL);
        assert_non_null(c);
        m->reading.max = (least + most) / 2;
        if (completion_prepare(c, body, strlen(body), &limits, &e) == API_BODY_TOO_LARGE)
            least = m->reading.max + 1;
        else
            most = m->reading.max;
        completion_destroy(c);
    }
    free_memory(m);
    return least;
}

/* Texts that are encoded as one take as much as one of their length. */
static void test_takes_memory_for_joined_texts(void **state) {
    (void)state;
    size_t apart = reading_needed(API_COMPLETIONS, "prompt", "another_one_");
    assert_int_equal(reading_needed(API_SCORE, "prompt", "continuation"), apart + engine_encode_bytes(1000));
    assert_int_equal(reading_needed(API_INFILL, "prompt", "input_prefix"), apart + engine_encode_bytes(1000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_are_the_configured_ones),
        cmocka_unit_test(test_stop_bytes),
        cmocka_unit_test(test_bad_words),
        cmocka_unit_test(test_no_body),
        cmocka_unit_test(test_request_id),
        cmocka_unit_test(test_takes_memory_before_admission),
        cmocka_unit_test(test_takes_memory_for_joined_texts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
