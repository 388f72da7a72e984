/* Sets of code points, and the classes that expressions name. */
#include "tests/support/test_support.h"

#include "engine/grammar/sources/point_classes.h"

static bool has(const struct point_set *s, uint32_t point) {
    for (size_t i = 0; i < s->count; i++)
        if (s->ranges[i].first <= point && point <= s->ranges[i].last) return true;
    return false;
}

static void test_sets(void **state) {
    struct point_set a = {0}, b = {0};
    (void)state;
    point_set_add(&a, 20, 30);
    point_set_add(&a, 5, 9);
    point_set_add(&a, 10, 12);
    point_set_add(&a, 7, 8);
    point_set_add(&a, 3, 2); /* none */
    point_set_sort(&a);
    assert_int_equal(a.count, 2);
    assert_int_equal(a.ranges[0].last, 12);
    point_set_add(&b, 0, 6);
    point_set_add(&b, 25, RULES_POINT_MAX);
    point_set_intersect(&a, &b);
    assert_int_equal(a.count, 2);
    assert_true(has(&a, 5) && has(&a, 6) && has(&a, 25) && has(&a, 30));
    assert_false(has(&a, 7) || has(&a, 24) || has(&a, 31));
    point_set_invert(&a);
    assert_true(has(&a, 0) && has(&a, 7) && has(&a, RULES_POINT_MAX));
    assert_false(has(&a, 5) || has(&a, 30));
    point_set_deinit(&a);
    point_set_deinit(&b);
}

/* What all dialects agree on lies within what any of them says. */
static void test_narrow_lies_within_wide(void **state) {
    (void)state;
    for (const char *letter = "dsw"; *letter; letter++) {
        struct point_set narrow = {0}, wide = {0};
        point_class_add_perl(&narrow, *letter, POINT_CLASS_NARROW);
        point_class_add_perl(&wide, *letter, POINT_CLASS_WIDE);
        point_set_invert(&wide);
        point_set_intersect(&narrow, &wide);
        assert_int_equal(narrow.count, 0);
        point_set_deinit(&narrow);
        point_set_deinit(&wide);
    }
}

static void test_wide_classes(void **state) {
    struct point_set digits = {0}, space = {0}, words = {0};
    (void)state;
    point_class_add_perl(&digits, 'd', POINT_CLASS_WIDE);
    point_class_add_perl(&space, 's', POINT_CLASS_WIDE);
    point_class_add_perl(&words, 'w', POINT_CLASS_WIDE);
    assert_true(has(&digits, 0x663) && !has(&digits, 'a'));
    assert_true(has(&space, 0xA0) && has(&space, 0xFEFF) && has(&space, 0x1C) && has(&space, '\v') &&
                !has(&space, '_'));
    assert_true(has(&words, 0xE9) && has(&words, 0x4E00) && has(&words, '_') && !has(&words, '-') &&
                !has(&words, 0x20AC));
    point_set_deinit(&digits);
    point_set_deinit(&space);
    point_set_deinit(&words);
}

static void test_categories(void **state) {
    struct point_set upper = {0}, letters = {0}, any = {0}, none = {0};
    (void)state;
    assert_true(point_class_add_category(&upper, "Lu", 2));
    assert_true(point_class_add_category(&letters, "L", 1));
    assert_true(point_class_add_category(&any, "Any", 3));
    assert_true(has(&upper, 0xC9) && !has(&upper, 0xE9) && has(&letters, 0xE9) && !has(&letters, '1'));
    assert_true(has(&any, 0) && has(&any, RULES_POINT_MAX) && has(&any, 0x378));
    assert_false(point_class_add_category(&none, "Greek", 5) || point_class_add_category(&none, "X", 1) ||
                 point_class_add_category(&none, "", 0) || point_class_add_category(&none, "lu", 2));
    assert_int_equal(none.count, 0);
    point_set_deinit(&upper);
    point_set_deinit(&letters);
    point_set_deinit(&any);
}

/* Ranges that are there already take no memory. */
static void test_the_same_again(void **state) {
    struct point_set letters = {0}, all = {0};
    (void)state;
    assert_true(point_class_add_category(&letters, "L", 1));
    point_set_sort(&letters);
    for (int i = 0; i < 1000; i++) point_set_add_all(&all, &letters);
    assert_true(all.capacity <= 16384);
    point_set_sort(&all);
    assert_int_equal(all.count, letters.count);
    assert_memory_equal(all.ranges, letters.ranges, all.count * sizeof *all.ranges);
    point_set_deinit(&letters);
    point_set_deinit(&all);
}

static void test_case_folds(void **state) {
    struct point_set s = {0};
    (void)state;
    point_set_add(&s, 'k', 'k');
    point_set_add(&s, 0x3A3, 0x3A3); /* capital sigma, which has two small ones */
    point_class_fold(&s, POINT_CLASS_NARROW);
    assert_true(has(&s, 'K') && has(&s, 0x212A) && has(&s, 0x3C3) && has(&s, 0x3C2));
    assert_false(has(&s, 'j') || has(&s, 0x3A4));
    point_set_deinit(&s);
}

/* The letter i without a dot, and a ligature of st. */
static void test_disputed_case(void **state) {
    struct point_set s = {0};
    (void)state;
    point_set_add(&s, 'I', 'I');
    point_set_add(&s, 0xFB06, 0xFB06);
    point_class_fold(&s, POINT_CLASS_NARROW);
    assert_true(has(&s, 'i'));
    assert_false(has(&s, 0x131) || has(&s, 0x130) || has(&s, 0xFB05));
    point_class_fold(&s, POINT_CLASS_WIDE);
    assert_true(has(&s, 0x131) && has(&s, 0x130) && has(&s, 0xFB05));
    point_set_deinit(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),           cmocka_unit_test(test_narrow_lies_within_wide),
        cmocka_unit_test(test_wide_classes),   cmocka_unit_test(test_categories),
        cmocka_unit_test(test_the_same_again), cmocka_unit_test(test_case_folds),
        cmocka_unit_test(test_disputed_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
