/* Rules as they are written: simplifications that keep states few, failures that are kept, limits. What texts they match
 * is the matter of match/test_matcher.c. */
#include "tests/unit/engine/grammar/rules_fixture.h"

#include "engine/grammar/rules/dfa.h"

static rules_expression choice(rules_expression a, rules_expression b) {
    const rules_expression parts[] = {a, b};
    return rules_choice(rules, parts, 2);
}

static void equal_ones_have_equal_numbers(void **state) {
    const struct rules_range letters[] = {{'a', 'm'}, {'n', 'z'}}, all[] = {{'a', 'z'}};
    rules_expression star = rules_repeat(rules, text("ab"), 0, RULES_UNLIMITED);
    (void)state;
    assert_int_equal(text("abc"), text("abc"));
    assert_int_equal(sequence(text("ab"), sequence(text("c"), star)),
                     sequence(sequence(text("ab"), text("c")), star));
    assert_int_equal(sequence(sequence(text("a"), star), text("c")),
                     sequence(text("a"), sequence(star, text("c"))));
    assert_int_equal(choice(text("a"), choice(text("bc"), text("d"))),
                     choice(choice(text("d"), text("a")), text("bc")));
    assert_int_equal(rules_points(rules, letters, 2), rules_points(rules, all, 1));
    assert_int_equal(rules_repeat(rules, star, 1, RULES_UNLIMITED), star);
    assert_int_equal(rules_repeat(rules, rules_repeat(rules, text("ab"), 0, 1), 0, RULES_UNLIMITED), star);
    assert_int_equal(choice(text(""), star), star);
    assert_int_equal(rules_repeat(rules, text("x"), 1, 1), text("x"));
    assert_int_equal(rules_repeat(rules, text("x"), 0, 0), RULES_EMPTY);
    assert_int_equal(rules_repeat(rules, text("x"), 3, 2), RULES_NOTHING);
    assert_int_equal(rules_choice(rules, NULL, 0), RULES_NOTHING);
    assert_int_equal(rules_points(rules, NULL, 0), RULES_NOTHING);
    assert_int_equal(sequence(text("x"), RULES_NOTHING), RULES_NOTHING);
    assert_int_equal(rules_intersection(rules, star, star), star);
    assert_int_equal(rules_difference(rules, star, star), RULES_NOTHING);
    assert_int_equal(rules_intersection(rules, text("ab"), star),
                     rules_intersection(rules, star, text("ab")));
    assert_false(rules_failed(rules));
}

/* Whether the characters' automaton takes the bytes, and nothing more. */
static bool takes(dfa_state state, const char *bytes) {
    for (; *bytes; bytes++) {
        const dfa_state *row = dfa_row(rules, state);
        assert_non_null(row);
        state = row[rules->class_of[(unsigned char)*bytes]];
        if (state == DFA_DEAD) return false;
    }
    return dfa_nullable(rules, state);
}

static void points_are_utf8(void **state) {
    const struct rules_range ranges[] = {
        {0x41, 0x43}, {0x7FF, 0x800}, {0xD000, 0xE001}, {0xFFFF, 0x10000}, {0x10FFFE, UINT32_MAX}};
    static const char *const in[] = {"A",
                                     "C",
                                     "\xdf\xbf",
                                     "\xe0\xa0\x80",
                                     "\xed\x80\x80",
                                     "\xed\x9f\xbf",
                                     "\xee\x80\x80",
                                     "\xee\x80\x81",
                                     "\xef\xbf\xbf",
                                     "\xf0\x90\x80\x80",
                                     "\xf4\x8f\xbf\xbf"};
    static const char *const out[] = {"@",
                                      "D",
                                      "\xdf\xbe",
                                      "\xe0\xa0\x81",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xee\x80\x82",
                                      "\xef\xbf\xbe",
                                      "\xf0\x90\x80\x81",
                                      "\xf4\x90\x80\x80",
                                      "\xc1\x81",
                                      "\xff"};
    struct error e;
    (void)state;
    rules_expression inside = rules_points(rules, ranges, 5), outside = rules_other_points(rules, ranges, 5);
    assert_ok(rules_finish(rules, choice(inside, outside), &e));
    dfa_state a = dfa_state_of(rules, inside), b = dfa_state_of(rules, outside);
    for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
        if (!takes(a, in[i]) || takes(b, in[i])) fail_msg("character %zu is one of them", i);
    }
    for (size_t i = 0; i < sizeof out / sizeof *out; i++) {
        bool is_utf8 = i < 4 || (i >= 6 && i < 9);
        if (takes(a, out[i]) || takes(b, out[i]) != is_utf8) fail_msg("character %zu is none of them", i);
    }
}

static void the_first_failure_is_kept(void **state) {
    struct error e;
    (void)state;
    rules_expression good = text("a");
    assert_int_equal(rules_fail(rules, STATUS_INVALID_ARGUMENT, "field", "the %s one", "first"), RULES_NONE);
    assert_int_equal(rules_fail(rules, STATUS_LIMIT, "other", "the second"), RULES_NONE);
    assert_true(rules_failed(rules));
    assert_int_equal(text("b"), RULES_NONE);
    assert_int_equal(rules_sequence(rules, &good, 1), RULES_NONE);
    assert_int_equal(rules_intersection(rules, good, RULES_NONE), RULES_NONE);
    assert_int_equal(rules_declare(rules, "x"), RULES_NONE);
    assert_int_equal(rules_finish(rules, good, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, "field");
    assert_string_equal(e.text, "the first one");
}

static void rules_must_be_defined_once(void **state) {
    struct error e;
    (void)state;
    rules_name a = rules_declare(rules, "first");
    assert_int_equal(rules_finish(rules, rules_call(rules, a), &e), STATUS_INVALID_ARGUMENT);
    assert_says(e.where, "first");
    rules_define(rules, a, text("x"));
    rules_define(rules, a, text("y"));
    assert_int_equal(rules_finish(rules, rules_call(rules, a), &e), STATUS_INVALID_ARGUMENT);
    assert_says(e.text, "twice");
}

/* Keys in quotes differ between the quotes. */
static void ends_that_are_alike_stand_outside(void **state) {
    (void)state;
    rules_expression x = rules_repeat(rules, text("ab"), 0, 7), y = choice(text("abab"), text("c"));
    rules_expression mark = text("'"), a = sequence(mark, sequence(x, mark)),
                     b = sequence(mark, sequence(y, mark));
    assert_int_equal(rules_intersection(rules, a, b),
                     sequence(mark, sequence(rules_intersection(rules, x, y), mark)));
    assert_int_equal(rules_difference(rules, a, b),
                     sequence(mark, sequence(rules_difference(rules, x, y), mark)));
    assert_int_equal(rules_difference(rules, a, a), RULES_NOTHING);
    assert_int_equal(rules_difference(rules, a, sequence(mark, mark)),
                     sequence(mark, sequence(rules_difference(rules, x, RULES_EMPTY), mark)));
    assert_int_not_equal(rules_intersection(rules, a, sequence(mark, y)), RULES_NOTHING);
    assert_false(rules_failed(rules));
}

static void what_any_text_stands_for_is_left_out(void **state) {
    (void)state;
    rules_expression x = text("ab"), some = rules_repeat(rules, x, 2, 5),
                     maybe = rules_repeat(rules, text("c"), 0, 3);
    assert_int_equal(rules_trim_end(rules, some), rules_repeat(rules, x, 2, 2));
    assert_int_equal(rules_trim_begin(rules, some), rules_repeat(rules, x, 2, 2));
    assert_int_equal(rules_trim_end(rules, maybe), RULES_EMPTY);
    assert_int_equal(rules_trim_end(rules, sequence(maybe, sequence(some, maybe))),
                     sequence(maybe, rules_repeat(rules, x, 2, 2)));
    assert_int_equal(rules_trim_begin(rules, sequence(maybe, sequence(some, maybe))),
                     sequence(rules_repeat(rules, x, 2, 2), maybe));
    assert_int_equal(rules_trim_end(rules, rules_repeat(rules, sequence(x, maybe), 2, 4)),
                     sequence(x, sequence(maybe, x)));
    assert_int_equal(rules_trim_begin(rules, rules_repeat(rules, sequence(maybe, x), 2, 4)),
                     sequence(x, sequence(maybe, x)));
    assert_int_equal(rules_trim_end(rules, choice(some, sequence(text("d"), maybe))),
                     choice(rules_repeat(rules, x, 2, 2), text("d")));
    assert_int_equal(rules_trim_begin(rules, RULES_NOTHING), RULES_NOTHING);
    assert_int_equal(rules_trim_end(rules, RULES_NONE), RULES_NONE);
    assert_false(rules_failed(rules));
}

/* An intersection of what calls itself is refused; of what only calls others it is not. */
static void intersections_are_regular(void **state) {
    struct error e;
    (void)state;
    rules_name plain = rules_declare(rules, "plain"), circle = rules_declare(rules, "circle");
    rules_define(rules, plain, rules_repeat(rules, text("ab"), 2, 3));
    rules_define(rules, circle, choice(text("a"), sequence(text("("), rules_call(rules, circle))));
    rules_expression calls = sequence(rules_call(rules, plain), text("!"));
    rules_expression any = rules_repeat(rules, rules_other_points(rules, NULL, 0), 0, 5);
    assert_ok(rules_finish(rules, rules_intersection(rules, calls, any), &e));
    dfa_state state_of = dfa_state_of(rules, rules->start);
    assert_true(takes(state_of, "abab!"));
    assert_false(takes(state_of, "ababab!"));
    assert_int_equal(rules_finish(rules, rules_difference(rules, any, rules_call(rules, circle)), &e),
                     STATUS_INVALID_ARGUMENT);
    assert_says(e.text, "call of itself");
}

static void what_matches_nothing_is_refused(void **state) {
    struct error e;
    (void)state;
    rules_expression five = rules_repeat(rules, text("a"), 5, 5),
                     three = rules_repeat(rules, text("aa"), 0, RULES_UNLIMITED);
    assert_int_equal(rules_finish(rules, rules_intersection(rules, five, three), &e),
                     STATUS_INVALID_ARGUMENT);
    assert_says(e.text, "no text");
    assert_ok(rules_finish(rules, choice(rules_intersection(rules, five, three), text("b")), &e));
    assert_int_equal(rules->start, text("b"));
}

static void depth_is_limited(void **state) {
    struct error e;
    (void)state;
    rules_expression x = text("a");
    for (int i = 0; i < RULES_DEPTH_MAX + 1; i++) x = rules_repeat(rules, sequence(x, text("b")), 2, 3);
    assert_int_equal(x, RULES_NONE);
    assert_int_equal(rules_finish(rules, x, &e), STATUS_LIMIT);
    assert_says(e.text, "deeper");
}

static void memory_is_limited(void **state) {
    struct rules *small;
    struct error e;
    (void)state;
    assert_int_equal(rules_create(100, NULL, &small, &e), STATUS_LIMIT);
    assert_ok(rules_create(20000, NULL, &small, &e));
    for (uint32_t i = 0; i < 10000 && !rules_failed(small); i++) {
        const struct rules_range range = {i, i};
        rules_points(small, &range, 1);
    }
    assert_int_equal(rules_finish(small, RULES_EMPTY, &e), STATUS_LIMIT);
    assert_says(e.text, "20000 bytes");
    rules_destroy(small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_ones_have_equal_numbers, rules_setup, rules_teardown),
        cmocka_unit_test_setup_teardown(points_are_utf8, rules_setup, rules_teardown),
        cmocka_unit_test_setup_teardown(the_first_failure_is_kept, rules_setup, rules_teardown),
        cmocka_unit_test_setup_teardown(rules_must_be_defined_once, rules_setup, rules_teardown),
        cmocka_unit_test_setup_teardown(ends_that_are_alike_stand_outside, rules_setup, rules_teardown),
        cmocka_unit_test_setup_teardown(what_any_text_stands_for_is_left_out, rules_setup, rules_teardown),
        cmocka_unit_test_setup_teardown(intersections_are_regular, rules_setup, rules_teardown),
        cmocka_unit_test_setup_teardown(what_matches_nothing_is_refused, rules_setup, rules_teardown),
        cmocka_unit_test_setup_teardown(depth_is_limited, rules_setup, rules_teardown),
        cmocka_unit_test_setup_teardown(memory_is_limited, rules_setup, rules_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
