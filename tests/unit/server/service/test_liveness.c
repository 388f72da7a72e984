#include "server/service/liveness.h"

#include "tests/support/test_support.h"

static const uint64_t second = 1000000000u;

static void look(struct liveness *l, uint64_t progress, bool has_work, uint64_t now_ns) {
    const struct engine_pulse pulse = {.progress = progress, .has_work = has_work};
    liveness_observe(l, &pulse, now_ns);
}

static void test_work_that_stands_still(void **state) {
    (void)state;
    struct liveness l = {0};
    uint64_t now = 100 * second;
    look(&l, 7, true, now);
    assert_true(l.stalled_ns == 0);
    for (int i = 0; i < 40; i++) look(&l, 7, true, now += second / 4);
    assert_true(l.stalled_ns == 10 * second);
    assert_true(liveness_is_stuck(&l, 10));
    assert_false(liveness_is_stuck(&l, 11));
    assert_false(liveness_is_stuck(&l, 0));
    look(&l, 8, true, now += second / 4);
    assert_true(l.stalled_ns == 0);
}

/* A step that takes minutes is one of many tiles. */
static void test_long_step(void **state) {
    (void)state;
    struct liveness l = {0};
    for (uint64_t i = 1; i < 1000; i++) {
        look(&l, i, true, i * second);
        assert_true(l.stalled_ns == 0);
    }
}

static void test_nothing_to_do(void **state) {
    (void)state;
    struct liveness l = {0};
    for (uint64_t i = 1; i < 100; i++) look(&l, 7, false, i * second);
    assert_true(l.stalled_ns == 0);
    for (uint64_t i = 100; i < 110; i++) look(&l, 7, true, i * second);
    assert_true(liveness_is_stuck(&l, 10));
    look(&l, 7, false, 111 * second);
    assert_true(l.stalled_ns == 0);
}

/* The whole machine stood still, or the loop did: that says nothing of the engine. */
static void test_time_that_was_not_there(void **state) {
    (void)state;
    struct liveness l = {0};
    look(&l, 7, true, second);
    look(&l, 7, true, 3600 * second);
    assert_true(l.stalled_ns == LIVENESS_LOOK_NS_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_work_that_stands_still),
        cmocka_unit_test(test_long_step),
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_time_that_was_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
