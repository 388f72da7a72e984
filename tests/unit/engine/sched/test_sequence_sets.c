/* What was cancelled or is late is found, wherever it is and whenever that was said; and nobody is looked at
 * for it otherwise. */
#include "scheduler_fixture.h"

#include "engine/base/clock.h"
#include "engine/sched/sequence_sets.h"

static struct engine_prompt some_prompt(uint32_t timeout_ms) {
    struct engine_prompt prompt = fake_prompt(ids_of(30, 4), 30, 50);
    prompt.ignore_end = true, prompt.timeout_ms = timeout_ms;
    return prompt;
}

/* A sweep that looks between the arrival and the turn that takes it finds the mark, and nobody to end. */
static void a_cancel_before_the_arrival_is_taken_is_not_lost(void **state) {
    (void)state;
    static struct collected c;
    start(8, 120, NULL);
    struct engine_prompt prompt = some_prompt(0);
    collect_start(scheduler, &c, &prompt);
    scheduler_cancel(c.request);
    sets_sweep(scheduler, clock_ns());
    scheduler_turn(scheduler);
    collect_ready(scheduler);
    assert_int_equal(c.ended, 1);
    assert_int_equal(c.choices[0].end.finish, ENGINE_FINISH_CANCELLED);
    assert_int_equal(model.steps, 0);
    collect_release(&c);
    stop();
}

/* Running, waiting, and backpressured. */
static void each_ends_at_its_own_time(void **state) {
    (void)state;
    static const uint64_t second_ns = 1000000000;
    static struct collected backpressured, running, waiting, patient;
    start(40, 120, one_place);
    struct engine_prompt prompt = some_prompt(3000000);
    collect_start(scheduler, &backpressured, &prompt);
    for (int i = 0; i < 12; i++) scheduler_turn(scheduler); /* nobody reads */
    prompt = some_prompt(1000000), collect_start(scheduler, &running, &prompt);
    prompt = some_prompt(2000000), collect_start(scheduler, &waiting, &prompt);
    prompt = some_prompt(0), collect_start(scheduler, &patient, &prompt);
    scheduler_turn(scheduler);
    assert_int_equal(scheduler->queues[QUEUE_BACKPRESSURED].count, 1);
    assert_int_equal(scheduler->running_count, 1);
    assert_int_equal(scheduler->queues[QUEUE_WAITING].count, 2);
    struct collected *const in_time[] = {&running, &waiting, &backpressured};
    for (int i = 0; i < 3; i++) {
        uint64_t due_ns = in_time[i]->request->deadline_ns;
        assert_true(scheduler->next_deadline_ns == due_ns);
        sets_sweep(scheduler, due_ns - 1);
        collect_some(in_time[i], SIZE_MAX);
        assert_int_equal(in_time[i]->ended, 0);
        sets_sweep(scheduler, due_ns);
        collect_some(in_time[i], SIZE_MAX);
        assert_int_equal(in_time[i]->ended, 1);
        assert_int_equal(in_time[i]->choices[0].end.finish, ENGINE_FINISH_TIMEOUT);
    }
    assert_true(scheduler->next_deadline_ns == UINT64_MAX);
    sets_sweep(scheduler, clock_ns() + 4000000 * second_ns);
    collect_until_end(scheduler, &patient);
    assert_int_equal(patient.choices[0].count, 50);
    for (int i = 0; i < 3; i++) collect_release(in_time[i]);
    collect_release(&patient);
    stop();
}

/* Cancelled while its reader does not read, with pages and after they were taken. */
static void those_that_are_set_aside_can_be_cancelled(void **state) {
    (void)state;
    static struct collected slow, other;
    for (int is_stripped = 0; is_stripped < 2; is_stripped++) {
        start(is_stripped ? 8 : 40, 120, NULL);
        struct engine_prompt prompt = some_prompt(0);
        collect_start(scheduler, &slow, &prompt);
        for (int i = 0; i < 12; i++) scheduler_turn(scheduler);
        prompt = fake_prompt(ids_of(90, 1), 90, 30), prompt.ignore_end = true;
        collect_start(scheduler, &other, &prompt);
        for (int i = 0; i < 28; i++) {
            scheduler_turn(scheduler);
            collect_some(&other, SIZE_MAX);
        }
        assert_int_equal(scheduler->queues[is_stripped ? QUEUE_STRIPPED : QUEUE_BACKPRESSURED].count, 1);
        scheduler_cancel(slow.request);
        scheduler_turn(scheduler);
        collect_some(&slow, SIZE_MAX);
        assert_int_equal(slow.ended, 1);
        collect_some(&other, SIZE_MAX);
        collect_until_end(scheduler, &other);
        collect_release(&slow);
        collect_release(&other);
        stop();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_cancel_before_the_arrival_is_taken_is_not_lost),
                                       cmocka_unit_test(each_ends_at_its_own_time),
                                       cmocka_unit_test(those_that_are_set_aside_can_be_cancelled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
