/* What steps cost by their rows: what was measured, what lies between, and what nobody has tried. */
#include "tests/support/test_support.h"

#include "engine/sched/step_cost.h"

static struct step_cost cost;

static void observe(size_t rows, double seconds, int times) {
    for (int i = 0; i < times; i++) step_cost_observe(&cost, rows, seconds);
}

static void expect(size_t rows, double seconds) {
    double found = step_cost_of(&cost, rows);
    if (found < 0.99 * seconds || found > 1.01 * seconds) fail_msg("%zu rows: %g", rows, found);
}

static void begin(void) {
    cost = (struct step_cost){0};
}

static void what_was_measured_is_known(void **state) {
    (void)state;
    begin();
    assert_false(step_cost_is_known(&cost, 1));
    observe(1, 2, 1);
    observe(9, 4, 1);
    assert_true(step_cost_is_known(&cost, 1) && step_cost_is_known(&cost, 9));
    assert_false(step_cost_is_known(&cost, 5));
    expect(1, 2);
    expect(9, 4);
    expect(5, 3);
    observe(STEP_COST_ROWS_MAX + 1, 1, 1); /* passed over */
    observe(0, 1, 1);
    observe(3, 0, 1);
    assert_false(step_cost_is_known(&cost, 3));
    assert_false(step_cost_is_known(&cost, STEP_COST_ROWS_MAX + 1));
}

/* Low enough to be tried, and then it is known. */
static void what_was_not_is_guessed_low(void **state) {
    (void)state;
    begin();
    observe(1, 1, 1);
    expect(2, 1.1);
    expect(11, 2);
    observe(11, 5, 1);
    expect(11, 5);
    expect(6, 3);
}

static void more_rows_never_cost_less(void **state) {
    (void)state;
    begin();
    observe(1, 1, 1);
    observe(4, 9, 1); /* somebody else used the machine */
    observe(8, 2, 1);
    for (size_t rows = 2; rows <= STEP_COST_ROWS_MAX; rows++)
        assert_true(step_cost_of(&cost, rows) >= step_cost_of(&cost, rows - 1));
    expect(4, 2);
}

static void values_are_smoothed_and_outliers_bounded(void **state) {
    (void)state;
    begin();
    observe(1, 1, 1);
    observe(1, 100, 1);
    assert_true(step_cost_of(&cost, 1) <= 1.21);
    observe(1, 1, 50);
    expect(1, 1);
    observe(1, 3, 60);
    expect(1, 3);
}

/* The machine has become slower, or the sequences longer: of all steps, not of those alone that are seen. */
static void a_change_of_one_moves_the_others(void **state) {
    (void)state;
    begin();
    observe(1, 1, 1);
    observe(8, 2, 1);
    observe(1, 2, 60);
    expect(1, 2);
    assert_true(step_cost_of(&cost, 8) > 2.2 && step_cost_of(&cost, 8) < 4);
}

static void what_seemed_dear_is_tried_again_some_day(void **state) {
    (void)state;
    begin();
    observe(1, 1, 1);
    observe(8, 20, 1);
    observe(1, 1, 100);
    assert_true(step_cost_of(&cost, 8) > 15);
    observe(1, 1, 10000);
    assert_true(step_cost_of(&cost, 8) < 1.1);
}

static void a_fixed_price_is_not_measured(void **state) {
    (void)state;
    cost = (struct step_cost){.row_cost = 0.5};
    observe(4, 100, 1);
    assert_true(step_cost_is_known(&cost, 7));
    expect(1, 1);
    expect(4, 2.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_measured_is_known),
        cmocka_unit_test(what_was_not_is_guessed_low),
        cmocka_unit_test(more_rows_never_cost_less),
        cmocka_unit_test(values_are_smoothed_and_outliers_bounded),
        cmocka_unit_test(a_change_of_one_moves_the_others),
        cmocka_unit_test(what_seemed_dear_is_tried_again_some_day),
        cmocka_unit_test(a_fixed_price_is_not_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
