/* What a step takes: rows of prompts beside those that decode, bursts of short prompts, and how steps are
 * counted. */
#include "scheduler_fixture.h"

#include "engine/sched/prefill_budget.h"

static uint64_t observed(const struct engine_histogram *h) {
    uint64_t count = 0;
    for (size_t i = 0; i <= h->bound_count; i++) count += h->counts[i];
    return count;
}

/* A prompt of 100 tokens takes steps of 48, 48 and 4; one of 20 beside the other's decoding three of at
 * most 8. */
static void steps_are_counted_by_what_they_computed(void **state) {
    (void)state;
    static struct collected first, second;
    start(20, 200, NULL);
    struct engine_prompt prompt = fake_prompt(ids_of(100, 8), 100, 10);
    prompt.ignore_end = true;
    collect_start(scheduler, &first, &prompt);
    for (int turns = 0; turns < 4; turns++) scheduler_turn(scheduler);
    prompt = fake_prompt(ids_of(20, 9), 20, 2);
    prompt.ignore_end = true;
    collect_start(scheduler, &second, &prompt);
    collect_until_end(scheduler, &first);
    assert_int_equal(second.ended, 1);
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_int_equal(observed(&stats.step_time_prefill), 3);
    assert_int_equal(observed(&stats.step_time_mixed), 3);
    assert_int_equal(observed(&stats.step_time_decode), 1 + 5);
    assert_int_equal(stats.steps, 12);
    const struct engine_histogram *budget = &stats.step_budget;
    assert_int_equal(observed(budget), 12);
    assert_int_equal(budget->counts[budget->bound_count - 1], 2); /* steps that used all 48 */
    assert_int_equal(budget->counts[budget->bound_count], 0);
    assert_true(fabs(budget->sum - (100 + 9 + 20 + 1) / 48.0) < 1e-9);
    collect_release(&first);
    collect_release(&second);
    stop();
}

static void measured_pace(struct scheduler_options *o) {
    o->limits.mixed_prefill_rows = 0;
}

/* Beside one that decodes, four prompts of 11 tokens come out of one step of 48 rows with a token each;
 * beside four that decode, one prompt of 40 is paced. */
static void a_burst_is_prefilled_in_one_step(void **state) {
    (void)state;
    static struct collected first, burst[4], last;
    struct engine_stats stats;
    start(40, 200, measured_pace);
    struct engine_prompt prompt = fake_prompt(ids_of(5, 1), 5, 20);
    prompt.ignore_end = true;
    collect_start(scheduler, &first, &prompt);
    scheduler_turn(scheduler);
    for (unsigned i = 0; i < 4; i++) {
        prompt = fake_prompt(ids_of(11, 2 + i), 11, 20);
        prompt.ignore_end = true;
        collect_start(scheduler, &burst[i], &prompt);
    }
    scheduler_turn(scheduler);
    scheduler_stats(scheduler, &stats);
    assert_int_equal(stats.generated_tokens, 1 + 5);
    prompt = fake_prompt(ids_of(40, 9), 40, 2);
    collect_start(scheduler, &last, &prompt);
    scheduler_turn(scheduler);
    scheduler_stats(scheduler, &stats);
    assert_int_equal(stats.generated_tokens, 1 + 5 + 5);
    collect_until_end(scheduler, &last);
    collect_until_end(scheduler, &first);
    collect_release(&first);
    collect_release(&last);
    for (unsigned i = 0; i < 4; i++) {
        collect_until_end(scheduler, &burst[i]);
        collect_release(&burst[i]);
    }
    stop();
}

/* Six clients that ask for one token each, over and over, beside one that decodes: prompts that come out
 * together never fill two steps in a row, and each ninth step has no row of theirs. */
static void bursts_leave_steps_for_decoding(void **state) {
    (void)state;
    enum { CLIENTS = 6, CYCLE = PREFILL_BUDGET_MIXED_STEPS_MAX + 1 };
    static struct collected stream, clients[CLIENTS];
    unsigned seed = 1, bursts = 0;
    bool after_burst = false;
    start(40, 200, measured_pace);
    struct engine_prompt prompt = fake_prompt(ids_of(5, seed), 5, 100);
    prompt.ignore_end = true;
    collect_start(scheduler, &stream, &prompt);
    scheduler_turn(scheduler);
    for (size_t step = 1; step <= 4 * CYCLE; step++) {
        for (size_t i = 0; i < CLIENTS; i++) {
            if (clients[i].request && !clients[i].ended) continue;
            if (clients[i].request) collect_release(&clients[i]);
            prompt = fake_prompt(ids_of(11, ++seed), 11, 1);
            collect_start(scheduler, &clients[i], &prompt);
        }
        uint64_t rows = model.rows;
        scheduler_turn(scheduler);
        collect_ready(scheduler);
        rows = model.rows - rows;
        assert_true(step % CYCLE == 0 ? rows == 1 : rows > 1);
        if (step > CYCLE) continue;
        /* Nothing is known of decode rows alone yet, so that the prefill budget itself is a constant. */
        bool is_burst = rows > 1 + PREFILL_BUDGET_ROWS_UNKNOWN;
        assert_false(is_burst && after_burst);
        bursts += after_burst = is_burst;
    }
    assert_int_equal(bursts, PREFILL_BUDGET_MIXED_STEPS_MAX / 2);
    for (size_t i = 0; i < CLIENTS; i++) collect_release(&clients[i]);
    collect_release(&stream);
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_counted_by_what_they_computed),
        cmocka_unit_test(a_burst_is_prefilled_in_one_step),
        cmocka_unit_test(bursts_leave_steps_for_decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
