#include "tests/support/test_support.h"

#include "engine/sched/prefill_budget.h"

/* Steps of a machine where a decode step takes `decode` and each prefill row adds `row` seconds. */
static double run_steps(struct prefill_budget *budget, double decode, double row, int steps) {
    double slowest = 0;
    for (int i = 0; i < steps; i++) {
        size_t rows = prefill_budget_prefill_rows(budget, 4);
        double seconds = decode + (double)rows * row;
        prefill_budget_observe(budget, 4, rows, seconds);
        slowest = seconds > slowest ? seconds : slowest;
    }
    return slowest;
}

static void unknown_costs_are_guessed_by_decode_rows(void **state) {
    (void)state;
    struct prefill_budget budget = {0};
    assert_int_equal(prefill_budget_prefill_rows(&budget, 1), PREFILL_BUDGET_ROWS_UNKNOWN);
    assert_int_equal(prefill_budget_prefill_rows(&budget, 100), 100);
}

static void settles_below_twice_a_decode_step(void **state) {
    (void)state;
    const double costs[] = {0.5e-3, 0.1e-3, 0.02e-3};
    for (size_t i = 0; i < 3; i++) {
        struct prefill_budget budget = {0};
        for (int k = 0; k < 5; k++) prefill_budget_observe(&budget, 4, 0, 10e-3);
        run_steps(&budget, 10e-3, costs[i], 100);
        double slowest = run_steps(&budget, 10e-3, costs[i], 100);
        assert_true(slowest < 20e-3 && slowest > 13e-3);
    }
}

static void a_prompt_always_gets_on(void **state) {
    (void)state;
    struct prefill_budget budget = {0};
    prefill_budget_observe(&budget, 1, 0, 1e-3);
    for (int i = 0; i < 20; i++) prefill_budget_observe(&budget, 1, 8, 100e-3);
    assert_int_equal(prefill_budget_prefill_rows(&budget, 1), 0); /* decode alone is to be measured again */
    prefill_budget_observe(&budget, 1, 0, 1e-3);
    assert_int_equal(prefill_budget_prefill_rows(&budget, 1), PREFILL_BUDGET_ROWS_MIN);
    budget = (struct prefill_budget){0};
    prefill_budget_observe(&budget, 1, 0, 1e-3);
    prefill_budget_observe(&budget, 1, 8, 0.5e-3); /* faster with than without: noise */
    assert_int_equal(prefill_budget_prefill_rows(&budget, 1), PREFILL_BUDGET_ROWS_UNKNOWN);
}

/* The first step beside decode rows was quick by chance; what they cost shows soon. */
static void one_quick_step_lets_no_flood_in(void **state) {
    (void)state;
    struct prefill_budget budget = {0};
    prefill_budget_observe(&budget, 4, 0, 10e-3);
    prefill_budget_observe(&budget, 4, 16, 9e-3);
    assert_true(run_steps(&budget, 10e-3, 0.5e-3, 1) <= 10e-3 + 32 * 0.5e-3);
    assert_true(run_steps(&budget, 10e-3, 0.5e-3, 10) < 50e-3);
    assert_true(run_steps(&budget, 10e-3, 0.5e-3, 30) < 20e-3);
}

static void decode_alone_is_measured_again_now_and_then(void **state) {
    (void)state;
    struct prefill_budget budget = {0};
    size_t without = 0;
    prefill_budget_observe(&budget, 4, 0, 1e-3);
    for (int i = 0; i < 330; i++) {
        size_t rows = prefill_budget_prefill_rows(&budget, 4);
        without += rows == 0;
        prefill_budget_observe(&budget, 4, rows, 1e-3 + 1e-5 * (double)rows);
    }
    assert_int_equal(without, 330 / (PREFILL_BUDGET_MIXED_STEPS_MAX + 1));
    prefill_budget_observe(&budget, 0, 200, 1); /* no reader waits: no matter */
    assert_true(budget.decode_seconds < 1.1e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_costs_are_guessed_by_decode_rows),
        cmocka_unit_test(settles_below_twice_a_decode_step),
        cmocka_unit_test(a_prompt_always_gets_on),
        cmocka_unit_test(one_quick_step_lets_no_flood_in),
        cmocka_unit_test(decode_alone_is_measured_again_now_and_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
