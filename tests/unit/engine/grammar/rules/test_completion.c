/* How much a text that has begun needs to its end; that masks go by it rightly is checked by test_mask.c. */
#include "tests/support/test_support.h"

#include "engine/grammar/rules/completion.h"

static struct rules *rules;

static rules_expression text(const char *bytes) {
    return rules_text(rules, bytes, strlen(bytes));
}

static rules_expression points(uint32_t first, uint32_t last) {
    return rules_points(rules, &(struct rules_range){first, last}, 1);
}

static rules_expression pair(rules_expression a, rules_expression b) {
    const rules_expression parts[] = {a, b};
    return rules_sequence(rules, parts, 2);
}

static rules_expression any_times(rules_expression x) {
    return rules_repeat(rules, x, 0, RULES_UNLIMITED);
}

/* All sets of bytes are there before the first finish, so that each has the same classes of bytes. */
static int setup(void **state) {
    struct error e;
    (void)state;
    if (rules_create((size_t)1 << 24, NULL, &rules, &e) != STATUS_OK) return 1;
    points(1, RULES_POINT_MAX);
    points('a', 'z');
    text("@.,x");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    rules_destroy(rules);
    return 0;
}

static uint32_t needed(rules_expression x, rules_expression part) {
    uint32_t found;
    struct error e;
    assert_ok(rules_finish(rules, x, &e));
    assert_true(completion_find(rules, rules->start, part, &found));
    assert_int_equal(completion_known(rules, rules->start, part), found);
    return found;
}

static void the_shortest_way_on_counts(void **state) {
    (void)state;
    rules_expression any = points(1, RULES_POINT_MAX), letter = points('a', 'z'), letters = any_times(letter);
    assert_int_equal(needed(any_times(any), any), 0);
    assert_int_equal(needed(text("x@x.x"), any), 5);
    assert_int_equal(needed(pair(any_times(any), text("@.x")), any), 3);
    assert_int_equal(needed(pair(letters, pair(text("@"), pair(letters, text(".")))), any), 2);
    assert_int_equal(needed(rules_repeat(rules, letter, 7, 40), any), 7);
    assert_int_equal(
        needed(pair(letters, rules_choice(rules, (rules_expression[]){text("@@@@"), text(".")}, 2)), any), 3);
}

/* Parts of several bytes count once. */
static void parts_are_counted(void **state) {
    (void)state;
    rules_expression any = points(1, RULES_POINT_MAX), two = text("x@");
    assert_int_equal(needed(text("\xe2\x82\xac\xc3\xa9"), any), 2);
    assert_int_equal(needed(rules_repeat(rules, two, 3, RULES_UNLIMITED), two), 3);
}

static void what_is_no_parts_is_not_known(void **state) {
    (void)state;
    rules_expression letter = points('a', 'z'), any = points(1, RULES_POINT_MAX);
    assert_int_equal(needed(pair(any_times(letter), text("@")), letter), RULES_UNLIMITED);
    assert_int_equal(needed(rules_repeat(rules, letter, 0, 1000), any),
                     RULES_UNLIMITED); /* too many states */
}

static void limits_are_found_on_both_sides(void **state) {
    struct limited found;
    (void)state;
    rules_expression any = points(1, RULES_POINT_MAX), few = rules_repeat(rules, any, 0, 9);
    rules_expression x = pair(any_times(points('a', 'z')), text("@"));
    rules_expression both = rules_intersection(rules, x, few);
    unsigned count = 0;
    for (unsigned i = 0; i < 2; i++)
        if (completion_limited(rules, both, i, &found)) {
            assert_int_equal(found.x, x);
            assert_int_equal(found.part, any);
            assert_int_equal(found.most, 9);
            count++;
        }
    assert_int_equal(count, 1);
    assert_false(completion_limited(rules, rules_difference(rules, x, few), 0, &found));
    assert_false(
        completion_limited(rules, rules_intersection(rules, x, rules_repeat(rules, any, 1, 9)), 1, &found));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_shortest_way_on_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_parts_is_not_known, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_are_found_on_both_sides, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
