/* Requests that do not come to their own end, or whose reader is slow: the others are not touched, and every page comes
 * back. */
#include "scheduler_fixture.h"

#include "engine/base/clock.h"
#include "engine/sched/scheduler_state.h"

/* Cancelled while queued, in the middle of its prompt, while it decodes, and while preempted. */
static void cancel_works_in_every_state(void **state) {
    (void)state;
    static struct collected c, hog[2];
    for (int turns = 0; turns < 12; turns++) {
        start(8, 120, small_steps);
        struct engine_prompt prompt = fake_prompt(ids_of(30, 4), 30, 50);
        prompt.ignore_end = true;
        for (int i = 0; i < 2; i++) collect_start(scheduler, &hog[i], &prompt);
        collect_start(scheduler, &c, &prompt);
        for (int i = 0; i < turns * 4; i++) {
            scheduler_turn(scheduler);
            collect_ready(scheduler);
        }
        scheduler_cancel(c.request);
        size_t before = c.choices[0].count;
        collect_until_end(scheduler, &c);
        if (c.choices[0].end.finish == ENGINE_FINISH_CANCELLED) assert_int_equal(c.choices[0].count, before);
        for (int i = 0; i < 2; i++) {
            collect_until_end(scheduler, &hog[i]);
            assert_int_equal(hog[i].choices[0].count, 50); /* the others are not touched */
            collect_release(&hog[i]);
        }
        collect_release(&c);
        stop();
    }
}

static void released_requests_give_their_pages_back(void **state) {
    (void)state;
    static struct collected c;
    start(8, 120, NULL);
    struct engine_prompt prompt = fake_prompt(ids_of(30, 4), 30, 50);
    prompt.choices = 3, prompt.logprobs = 2;
    collect_start(scheduler, &c, &prompt);
    for (int i = 0; i < 5; i++) scheduler_turn(scheduler);
    assert_true(kv_pool_available(&model.pool) < model.pool.page_count);
    collect_release(&c);
    scheduler_turn(scheduler);
    assert_null(scheduler_next_ready(scheduler));
    stop();
}

static void a_timeout_ends_it(void **state) {
    (void)state;
    static struct collected c;
    start(8, 120, NULL);
    struct engine_prompt prompt = fake_prompt(ids_of(30, 4), 30, 50);
    prompt.ignore_end = true, prompt.timeout_ms = 1;
    collect_start(scheduler, &c, &prompt);
    scheduler_turn(scheduler);
    for (uint64_t until = clock_ns() + 2000000; clock_ns() < until;) {
    }
    collect_until_end(scheduler, &c);
    assert_int_equal(c.choices[0].end.finish, ENGINE_FINISH_TIMEOUT);
    collect_release(&c);
    stop();
}

/* A reader that takes nothing holds its own sequence up, and only that. */
static void a_slow_reader_pauses_its_own_sequence(void **state) {
    (void)state;
    static struct collected slow, quick;
    start(8, 120, NULL);
    int32_t *ids = ids_of(30, 4);
    struct engine_prompt prompt = fake_prompt(ids, 30, 50);
    prompt.ignore_end = true;
    collect_start(scheduler, &slow, &prompt);
    collect_start(scheduler, &quick, &prompt);
    for (int i = 0; i < 60; i++) {
        scheduler_turn(scheduler);
        collect_some(&quick, SIZE_MAX);
    }
    assert_int_equal(quick.choices[0].count, 50);
    assert_false(scheduler_turn(scheduler));
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_int_equal(stats.backpressured, 1);
    assert_int_equal(stats.generated_tokens, 50 + 8);
    collect_until_end(scheduler, &slow);
    expect_greedy(&slow.choices[0], ids, 30, 50);
    collect_release(&slow);
    collect_release(&quick);
    stop();
}

static void two_places(struct scheduler_options *o) {
    o->limits.sequences = 2;
}

/* Slow readers hold every place: whoever waits gets one. */
static void slow_readers_do_not_keep_the_others_out(void **state) {
    (void)state;
    static struct collected slow[2], quick;
    start(16, 120, two_places);
    int32_t *ids = ids_of(30, 4);
    struct engine_prompt prompt = fake_prompt(ids, 30, 50);
    prompt.ignore_end = true;
    for (int i = 0; i < 2; i++) collect_start(scheduler, &slow[i], &prompt);
    for (int i = 0; i < 20; i++) scheduler_turn(scheduler);
    collect_start(scheduler, &quick, &prompt);
    for (int i = 0; i < 80; i++) {
        scheduler_turn(scheduler);
        collect_some(&quick, SIZE_MAX);
    }
    assert_int_equal(quick.ended, 1);
    for (int i = 0; i < 2; i++) {
        collect_until_end(scheduler, &slow[i]);
        expect_greedy(&slow[i].choices[0], ids, 30, 50);
        collect_release(&slow[i]);
    }
    collect_release(&quick);
    stop();
}

static void values_that_are_no_numbers_fail_one_request(void **state) {
    (void)state;
    static struct collected sick, well;
    start(8, 120, NULL);
    int32_t bad = 33, good = 7;
    model.nan_after = bad;
    struct engine_prompt prompt = fake_prompt(&bad, 1, 10);
    collect_start(scheduler, &sick, &prompt);
    prompt.ids = &good, prompt.ignore_end = true;
    const struct engine_bias never = {33, -1000};
    prompt.sampling.biases = &never, prompt.sampling.bias_count = 1;
    collect_start(scheduler, &well, &prompt);
    collect_until_end(scheduler, &sick);
    assert_int_equal(sick.choices[0].end.finish, ENGINE_FINISH_FAILED);
    assert_int_equal(sick.choices[0].count, 0);
    assert_int_equal(sick.choices[0].end.error->code, STATUS_MALFORMED);
    assert_string_equal(sick.choices[0].end.error->where, "logits");
    collect_until_end(scheduler, &well);
    assert_int_equal(well.choices[0].count, 10);
    assert_null(well.choices[0].end.error);
    collect_release(&sick);
    collect_release(&well);
    stop();
}

static void destroying_ends_what_is_there(void **state) {
    (void)state;
    static struct collected c[6];
    start(8, 120, small_steps);
    for (int i = 0; i < 6; i++) {
        struct engine_prompt prompt = fake_prompt(ids_of(30, (unsigned)i), 30, 50);
        collect_start(scheduler, &c[i], &prompt);
        if (i == 3)
            for (int k = 0; k < 12; k++) scheduler_turn(scheduler);
    }
    for (int i = 0; i < 6; i++) collect_release(&c[i]);
    scheduler_destroy(scheduler);
    fake_model_deinit(&model);
}

/* Retry-After would be that of a queue that takes as long. */
static void idle_time_is_no_interval_between_ends(void **state) {
    (void)state;
    static struct collected c;
    start(8, 120, NULL);
    struct engine_prompt prompt = fake_prompt(ids_of(30, 4), 30, 2);
    const uint64_t before_ns = clock_ns();
    scheduler->last_finish_ns = 1; /* when the machine was started */
    collect_start(scheduler, &c, &prompt);
    collect_until_end(scheduler, &c);
    assert_true(scheduler->stats.finish_interval <= (double)(clock_ns() - before_ns) * 1e-9);
    collect_release(&c);
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel_works_in_every_state),
        cmocka_unit_test(released_requests_give_their_pages_back),
        cmocka_unit_test(a_timeout_ends_it),
        cmocka_unit_test(a_slow_reader_pauses_its_own_sequence),
        cmocka_unit_test(slow_readers_do_not_keep_the_others_out),
        cmocka_unit_test(values_that_are_no_numbers_fail_one_request),
        cmocka_unit_test(destroying_ends_what_is_there),
        cmocka_unit_test(idle_time_is_no_interval_between_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
