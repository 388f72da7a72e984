/* What is found of texts that are taken whatever they are; that it is so is checked by test_mask.c. */
#include "tests/unit/engine/grammar/rules_fixture.h"

#include "engine/grammar/match/byte_groups.h"
#include "engine/grammar/match/runs.h"

static struct class_groups_table table;

/* Any character but a comma; and small letters. */
static rules_expression any(void) {
    return rules_other_points(rules, &(struct rules_range){',', ','}, 1);
}

static rules_expression letter(void) {
    return rules_points(rules, &(struct rules_range){'a', 'z'}, 1);
}

/* All sets of bytes are made before the first is finished, so that each finish has the same classes of bytes. */
static int setup(void **state) {
    class_groups_clear(&table);
    if (rules_setup(state) != 0) return 1;
    any();
    letter();
    for (uint32_t first = 0x2027; first <= 0x2028; first++)
        for (uint32_t last = 0x2028; last <= 0x2029; last++)
            rules_other_points(rules, &(struct rules_range){first, last}, 1);
    text("abname,xz\"");
    return 0;
}

/* Characters of these groups that the whole of x takes, at most. */
static uint32_t length_of(rules_expression x, uint64_t groups) {
    struct runs runs;
    struct error e;
    uint32_t most = 0;
    assert_ok(rules_finish(rules, x, &e));
    assert_true(runs_find(rules, &table, rules->start, &runs));
    for (size_t i = 0; i < runs.count; i++)
        if ((groups & ~runs.list[i].groups) == 0 && runs.list[i].length > most) most = runs.list[i].length;
    return most;
}

#define LETTERS (byte_group('a'))
#define MANY    (byte_group('a') | byte_group('"') | GROUPS_BEYOND_ASCII)

static void characters_are_counted(void **state) {
    (void)state;
    rules_expression three = rules_repeat(rules, any(), 3, 3);
    assert_int_equal(length_of(rules_repeat(rules, three, 2, 4), MANY), 12);
    assert_int_equal(length_of(rules_repeat(rules, three, 1, RULES_UNLIMITED), MANY), RULES_UNLIMITED);
    assert_int_equal(
        length_of(sequence(three, sequence(rules_repeat(rules, letter(), 0, 5), text(","))), LETTERS), 8);
    assert_int_equal(
        length_of(sequence(three, sequence(rules_repeat(rules, letter(), 0, 5), text(","))), MANY), 3);
    assert_int_equal(length_of(three, byte_group(',')), 0);
}

static void what_comes_behind_may_begin_alike(void **state) {
    const rules_expression both[] = {text("ab"), letter()};
    (void)state;
    rules_expression star = rules_repeat(rules, any(), 0, RULES_UNLIMITED);
    assert_int_equal(length_of(sequence(star, text("z\"")), MANY), RULES_UNLIMITED);
    assert_int_equal(
        length_of(rules_repeat(rules, rules_choice(rules, both, 2), 1, RULES_UNLIMITED), LETTERS),
        RULES_UNLIMITED);
    assert_int_equal(length_of(sequence(text("\""), star), MANY), 0);
}

static void intersections_and_differences_have_both_bounds(void **state) {
    (void)state;
    rules_expression letters = rules_repeat(rules, letter(), 1, RULES_UNLIMITED);
    rules_expression few = rules_repeat(rules, any(), 0, 20);
    assert_int_equal(length_of(rules_intersection(rules, letters, few), LETTERS), 20);
    assert_int_equal(length_of(rules_difference(rules, few, text("name")), MANY), 20);
    assert_int_equal(length_of(rules_difference(rules, rules_repeat(rules, any(), 0, 4), text("name")), MANY),
                     0);
    assert_int_equal(length_of(rules_difference(rules, few, letters), LETTERS), 0);
}

/* What one took the other could have taken. */
static void neighbours_are_one(void **state) {
    (void)state;
    rules_expression x = letter(), y = any();
    assert_int_equal(sequence(rules_repeat(rules, x, 1, 3), rules_repeat(rules, x, 2, 4)),
                     rules_repeat(rules, x, 3, 7));
    assert_int_equal(sequence(x, rules_repeat(rules, x, 0, RULES_UNLIMITED)),
                     rules_repeat(rules, x, 1, RULES_UNLIMITED));
    assert_int_equal(sequence(rules_repeat(rules, x, 0, 2), sequence(x, y)),
                     sequence(rules_repeat(rules, x, 1, 3), y));
    assert_int_not_equal(sequence(rules_repeat(rules, x, 0, 2), rules_repeat(rules, y, 0, 2)),
                         rules_repeat(rules, x, 0, 4));
}

/* Characters that lead from a difference to itself. */
static void what_stays_is_found(void **state) {
    uint64_t groups;
    struct error e;
    (void)state;
    rules_expression all = rules_repeat(rules, any(), 0, RULES_UNLIMITED);
    rules_expression named = sequence(all, sequence(text("name"), all));
    assert_ok(rules_finish(rules, rules_difference(rules, all, named), &e));
    assert_true(class_groups_staying(rules, dfa_state_of(rules, rules->start), &groups));
    assert_true(groups & byte_group('b') && groups & byte_group('"') && groups & GROUPS_BEYOND_ASCII);
    assert_false(groups & (byte_group('n') | byte_group(',')));
}

/* So that what a `.` of ECMAScript takes is known, but for these few. */
static void line_ends_beyond_ascii_are_told_apart(void **state) {
    const struct rules_range ends = {0x2028, 0x2029}, more = {0x2027, 0x2029}, one = {0x2028, 0x2028};
    (void)state;
    rules_expression dots = rules_repeat(rules, rules_other_points(rules, &ends, 1), 0, 7);
    assert_int_equal(length_of(dots, MANY), 7);
    assert_int_equal(length_of(dots, GROUPS_LINE_ENDS), 0);
    assert_int_equal(length_of(any(), GROUPS_LINE_ENDS), 1);
    assert_int_equal(length_of(rules_other_points(rules, &one, 1), GROUPS_LINE_ENDS), 0);
    assert_int_equal(length_of(rules_other_points(rules, &one, 1), MANY), 1);
    assert_int_equal(length_of(rules_other_points(rules, &more, 1), MANY), 0);
}

/* Repeats of repeats whose lengths have no gap are one. */
static void repeats_of_repeats_are_one(void **state) {
    (void)state;
    rules_expression x = text("x"), some = rules_repeat(rules, x, 2, 4), three = rules_repeat(rules, x, 3, 3);
    const rules_expression optional[] = {RULES_EMPTY, some};
    assert_int_equal(rules_repeat(rules, some, 2, 4), rules_repeat(rules, x, 4, 16));
    assert_int_equal(rules_repeat(rules, three, 2, 2), rules_repeat(rules, x, 6, 6));
    assert_int_not_equal(rules_repeat(rules, three, 1, 2), rules_repeat(rules, x, 3, 6));
    assert_int_equal(rules_repeat(rules, rules_choice(rules, optional, 2), 3, 3),
                     rules_repeat(rules, rules_repeat(rules, x, 2, 12), 0, 1));
    rules_expression huge = rules_repeat(rules, x, 1u << 31, 1u << 31);
    assert_int_not_equal(rules_repeat(rules, huge, 4, 4), huge);
    assert_int_equal(rules_repeat(rules, rules_repeat(rules, x, 2, RULES_UNLIMITED), 3, 5),
                     rules_repeat(rules, x, 6, RULES_UNLIMITED));
    assert_false(rules_failed(rules));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(characters_are_counted, setup, rules_teardown),
        cmocka_unit_test_setup_teardown(what_comes_behind_may_begin_alike, setup, rules_teardown),
        cmocka_unit_test_setup_teardown(intersections_and_differences_have_both_bounds, setup,
                                        rules_teardown),
        cmocka_unit_test_setup_teardown(neighbours_are_one, setup, rules_teardown),
        cmocka_unit_test_setup_teardown(what_stays_is_found, setup, rules_teardown),
        cmocka_unit_test_setup_teardown(line_ends_beyond_ascii_are_told_apart, setup, rules_teardown),
        cmocka_unit_test_setup_teardown(repeats_of_repeats_are_one, setup, rules_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
