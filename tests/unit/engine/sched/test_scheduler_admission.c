/* What the scheduler refuses, and in which order it takes up what waits. */
#include "scheduler_fixture.h"

static void refuse(const struct engine_prompt *prompt, const char *where, const char *text) {
    struct engine_request *request;
    struct error e;
    assert_int_equal(scheduler_submit(scheduler, prompt, 1, &request, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, where);
    assert_non_null(strstr(e.text, text));
}

static void what_can_never_run_is_refused(void **state) {
    (void)state;
    start(8, 100, NULL);
    struct engine_prompt good = fake_prompt(ids_of(101, 1), 50, 12), p = good;
    p.count = 100;
    refuse(&p, "context",
           "This model's maximum context length is 100 tokens, however you requested 112 tokens (100 in your "
           "prompt; 12 "
           "for the completion).");
    p.count = 101, p.max_tokens = 0;
    refuse(&p, "context", "maximum context length is 100 tokens");
    p = good, p.count = 0;
    refuse(&p, "prompt", "at least one");
    int32_t bad = FAKE_ROWS;
    p = good, p.ids = &bad, p.count = 1;
    refuse(&p, "prompt", "64 is not in");
    bad = -1;
    refuse(&p, "prompt", "-1 is not in");
    p = good, p.choices = 0;
    refuse(&p, "n", "0 is not in");
    p = good, p.logprobs = 6;
    refuse(&p, "logprobs", "more than 5");
    p = good, p.sampling.temperature = NAN;
    refuse(&p, "temperature", "nan");
    p = good, p.sampling.repetition_penalty = 0;
    refuse(&p, "repetition_penalty", "0 is not in");
    const struct engine_bias bias = {FAKE_ROWS, 1};
    p = good, p.sampling.biases = &bias, p.sampling.bias_count = 1;
    refuse(&p, "logit_bias", "64");
    const struct engine_string empty = {"", 0};
    p = good, p.stops = &empty, p.stop_count = 1;
    refuse(&p, "stop", "empty");
    stop();
}

static void small_queue(struct scheduler_options *o) {
    o->queue_max = 4;
    o->queue_tokens_max = 50;
}

static void a_full_queue_takes_all_or_none(void **state) {
    (void)state;
    static struct collected c;
    struct engine_request *requests[2];
    struct error e;
    start(8, 100, small_queue);
    struct engine_prompt prompts[2] = {fake_prompt(ids_of(10, 1), 10, 5), fake_prompt(ids_of(10, 2), 10, 5)};
    collect_start(scheduler, &c, prompts);
    prompts[0].choices = prompts[1].choices = 2;
    assert_int_equal(scheduler_submit(scheduler, prompts, 2, requests, &e), STATUS_LIMIT); /* 1 + 4 choices */
    assert_null(requests[0]);
    prompts[0].choices = prompts[1].choices = 1;
    prompts[1].count = 31, prompts[1].ids = ids_of(31, 1);
    assert_int_equal(scheduler_submit(scheduler, prompts, 2, requests, &e),
                     STATUS_LIMIT); /* 10 + 41 tokens */
    prompts[0].choices = 5;
    assert_int_equal(scheduler_submit(scheduler, prompts, 1, requests, &e), STATUS_INVALID_ARGUMENT);
    collect_until_end(scheduler, &c);
    collect_release(&c);
    /* More tokens than the limit, but nothing waits. */
    struct engine_prompt large = fake_prompt(ids_of(60, 1), 60, 1);
    collect_start(scheduler, &c, &large);
    collect_until_end(scheduler, &c);
    collect_release(&c);
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_int_equal(stats.refused_queue, 2);
    scheduler_drain(scheduler);
    assert_int_equal(scheduler_submit(scheduler, &large, 1, requests, &e), STATUS_CLOSING);
    stop();
}

static void priority_orders_what_waits(void **state) {
    (void)state;
    static struct collected c[4];
    start(16, 120, one_place);
    static const int priorities[4] = {0, 5, 0, -5};
    for (int i = 0; i < 4; i++) {
        struct engine_prompt prompt = fake_prompt(ids_of(3, (unsigned)i), 3, 4);
        prompt.priority = priorities[i], prompt.ignore_end = true;
        collect_start(scheduler, &c[i], &prompt);
    }
    static const int order[4] = {3, 0, 2, 1};
    for (int i = 0; i < 4; i++) {
        collect_until_end(scheduler, &c[order[i]]);
        for (int k = i + 1; k < 4; k++) assert_int_equal(c[order[k]].choices[0].count, 0);
    }
    for (int i = 0; i < 4; i++) collect_release(&c[i]);
    stop();
}

static void rank_is_arrival_put_off_by_priority(void **state) {
    (void)state;
    const uint64_t second = 1000000000;
    assert_true(request_rank(5 * second, 0) < request_rank(6 * second, 0));
    assert_true(request_rank(6 * second, -1) < request_rank(5 * second, 0));
    /* Whoever has waited long enough goes before any new arrival of higher priority. */
    assert_true(request_rank(5 * second, 1) < request_rank((6 + REQUEST_PRIORITY_SECONDS) * second, 0));
    assert_true(request_rank(second, INT32_MIN) < 0 && request_rank(second, INT32_MAX) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_never_run_is_refused),
        cmocka_unit_test(a_full_queue_takes_all_or_none),
        cmocka_unit_test(priority_orders_what_waits),
        cmocka_unit_test(rank_is_arrival_put_off_by_priority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
