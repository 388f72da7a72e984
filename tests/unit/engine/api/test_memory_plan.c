#include "tests/support/test_support.h"

#include "engine/api/memory_plan.h"

static void test_lines_and_what_is_left(void **state) {
    (void)state;
    struct memory_plan plan = {.available_bytes = 1000};
    memory_plan_add(&plan, "a", 300);
    memory_plan_add(&plan, "nothing", 0);
    memory_plan_add(&plan, "b", 500);
    assert_int_equal(plan.count, 2);
    assert_int_equal(memory_plan_total(&plan), 800);
    assert_int_equal(memory_plan_left(&plan), 200);
    memory_plan_add(&plan, "c", 200);
    assert_int_equal(memory_plan_left(&plan), 0);
    memory_plan_add(&plan, "d", 1);
    assert_int_equal(memory_plan_left(&plan), 0);
    memory_plan_log(&plan, 5);
}

static void test_sums_that_are_too_large(void **state) {
    (void)state;
    struct memory_plan plan = {.available_bytes = 1000};
    memory_plan_add(&plan, "a", SIZE_MAX);
    memory_plan_add(&plan, "b", 2);
    assert_int_equal(memory_plan_total(&plan), SIZE_MAX);
    assert_int_equal(memory_plan_left(&plan), 0);
}

static void test_what_is_left_is_not_known(void **state) {
    (void)state;
    struct memory_plan plan = {.available_bytes = 0};
    memory_plan_add(&plan, "a", 300);
    assert_int_equal(memory_plan_left(&plan), SIZE_MAX);
}

static void test_rounding(void **state) {
    (void)state;
    assert_int_equal(memory_plan_round(0), 0);
    assert_int_equal(memory_plan_round(1), 1);
    assert_int_equal(memory_plan_round((4 << 20) - 1), (4 << 20) - 1);
    assert_int_equal(memory_plan_round((4 << 20) + 1), 4 << 20);
    assert_int_equal(memory_plan_round((12 << 20) - 1), 8 << 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_and_what_is_left),
        cmocka_unit_test(test_sums_that_are_too_large),
        cmocka_unit_test(test_what_is_left_is_not_known),
        cmocka_unit_test(test_rounding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
