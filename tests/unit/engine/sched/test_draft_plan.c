/* How many drafts pay: by odds and prices that are given. */
#include "tests/support/test_support.h"

#include <math.h>

#include "engine/sched/draft_plan.h"

static struct step_cost cost;
static struct draft_offer offers[STEP_COST_ROWS_MAX];
static size_t drafts[STEP_COST_ROWS_MAX];
static double rate;

static void price(double row_cost) {
    cost = (struct step_cost){.row_cost = row_cost};
}

/* Each draft is right with this probability if those before it are. */
static void offer(size_t i, size_t count, double chance) {
    offers[i].count = count;
    for (size_t k = 0; k < count; k++) offers[i].chances[k] = pow(chance, (double)(k + 1));
}

static void expect(size_t count, size_t rows_max, size_t total) {
    size_t sum = 0;
    assert_int_equal(draft_plan(&cost, offers, count, rows_max, drafts, &rate), total);
    for (size_t i = 0; i < count; i++) {
        assert_true(drafts[i] <= offers[i].count);
        sum += drafts[i];
    }
    assert_int_equal(sum, total);
}

static void good_drafts_at_a_low_price_are_all_taken(void **state) {
    (void)state;
    price(0.01);
    offer(0, 15, 0.95);
    expect(1, 64, 15);
    expect(1, 8, 7); /* rows of the step */
    offer(0, 3, 0.95);
    expect(1, 64, 3);
}

static void bad_ones_at_a_high_price_are_left(void **state) {
    (void)state;
    price(0.3);
    offer(0, 15, 0.2);
    expect(1, 64, 0);
    price(1); /* a row costs as much as it could bring */
    offer(0, 15, 1);
    expect(1, 64, 0);
    price(0.01);
    offer(0, 0, 1);
    expect(1, 64, 0);
}

/* 1 + 0.04 tokens of 1.001 seconds: less than what must be won. */
static void what_is_nearly_even_is_left(void **state) {
    (void)state;
    price(0.001);
    offer(0, 1, 0.04);
    expect(1, 64, 0);
    offer(0, 1, 0.06);
    expect(1, 64, 1);
}

/* The rate is the best where a further draft brings less than the average of the step. */
static void the_number_follows_the_odds(void **state) {
    (void)state;
    price(0.1);
    offer(0, 15, 0.5);
    assert_int_equal(draft_plan(&cost, offers, 1, 64, drafts, &rate), 2);
    offer(0, 15, 0.8);
    size_t better = draft_plan(&cost, offers, 1, 64, drafts, &rate);
    assert_true(better > 2 && better < 10);
    offer(0, 15, 0.99);
    expect(1, 64, 15);
}

static void they_go_to_whom_they_serve_best(void **state) {
    (void)state;
    price(0.05);
    offer(0, 15, 0.6);
    offer(1, 15, 0.95);
    size_t all = draft_plan(&cost, offers, 2, 64, drafts, &rate);
    assert_true(all > 2 && drafts[1] > drafts[0] && drafts[0] > 0);
}

/* One that has none waits for those of the others, so they are few. */
static void bystanders_do_not_wait_long(void **state) {
    (void)state;
    price(0.05);
    offer(0, 15, 0.95);
    offer(1, 0, 0);
    size_t beside = draft_plan(&cost, offers, 2, 64, drafts, &rate);
    assert_true(beside > 0);
    assert_true(step_cost_of(&cost, 2 + beside) <= DRAFT_BYSTANDER_SLOWDOWN * step_cost_of(&cost, 2));
    assert_true(draft_plan(&cost, offers, 1, 64, drafts, &rate) > beside);
}

static void large_batches_have_none(void **state) {
    (void)state;
    price(0.001);
    for (size_t i = 0; i < STEP_COST_ROWS_MAX; i++) offer(i, 15, 0.99);
    expect(STEP_COST_ROWS_MAX, 256, 0);
    expect(STEP_COST_ROWS_MAX - 4, 256, 4);
    expect(4, 4, 0); /* rows are used up */
    expect(0, 64, 0);
}

/* Without them first: what that costs is what they are compared with. */
static void a_step_that_was_never_measured_has_none(void **state) {
    (void)state;
    cost = (struct step_cost){0};
    offer(0, 15, 0.99);
    expect(1, 64, 0);
    step_cost_observe(&cost, 1, 0.01);
    assert_true(draft_plan(&cost, offers, 1, 64, drafts, &rate) > 0);
    offer(1, 15, 0.99);
    expect(2, 64, 0);
}

/* All together, as deep as it pays: deeper where a draft costs less or is better. */
static void depth_follows_odds_and_price(void **state) {
    (void)state;
    price(0.02);
    offer(0, 15, 0.9);
    offer(1, 15, 0.9);
    size_t cheap = draft_plan_depth(&cost, 0.05, offers, 2, 64, &rate);
    size_t dear = draft_plan_depth(&cost, 0.3, offers, 2, 64, &rate);
    assert_true(cheap > dear && dear > 0);
    assert_true(rate > 2 * DRAFT_GAIN_MIN / step_cost_of(&cost, 2));
    assert_int_equal(draft_plan_depth(&cost, 1, offers, 2, 64, &rate), 0);
    assert_true(rate == 0);
    offer(0, 15, 0.3);
    offer(1, 15, 0.3);
    assert_true(draft_plan_depth(&cost, 0.05, offers, 2, 64, &rate) < cheap);
    assert_int_equal(draft_plan_depth(&cost, 0.05, offers, 2, 2, &rate), 0); /* rows are used up */
    offer(0, 2, 0.99);
    offer(1, 1, 0.99);
    assert_int_equal(draft_plan_depth(&cost, 0.01, offers, 2, 64, &rate), 2);
    assert_int_equal(draft_plan_depth(&cost, 0.01, offers, 2, 4, &rate), 1);
    offer(1, 0, 0); /* that waits for the other */
    assert_int_equal(draft_plan_depth(&cost, 0.25, offers, 2, 64, &rate), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_drafts_at_a_low_price_are_all_taken),
        cmocka_unit_test(bad_ones_at_a_high_price_are_left),
        cmocka_unit_test(what_is_nearly_even_is_left),
        cmocka_unit_test(the_number_follows_the_odds),
        cmocka_unit_test(they_go_to_whom_they_serve_best),
        cmocka_unit_test(bystanders_do_not_wait_long),
        cmocka_unit_test(large_batches_have_none),
        cmocka_unit_test(a_step_that_was_never_measured_has_none),
        cmocka_unit_test(depth_follows_odds_and_price),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
