#include "engine/base/name_list.h"

#include "tests/support/test_support.h"

static void test_names_with_commas(void **state) {
    (void)state;
    char list[20] = "";
    name_list_add(list, sizeof list, "a");
    assert_string_equal(list, "a");
    name_list_add(list, sizeof list, "bcd");
    name_list_add(list, sizeof list, "e");
    assert_string_equal(list, "a, bcd, e");
}

/* Whole names or none, up to the last byte. */
static void test_what_does_not_fit_is_left_out(void **state) {
    (void)state;
    char list[10] = "";
    name_list_add(list, sizeof list, "0123456789");
    assert_string_equal(list, "");
    name_list_add(list, sizeof list, "0123");
    name_list_add(list, sizeof list, "4567");
    assert_string_equal(list, "0123");
    name_list_add(list, sizeof list, "456");
    assert_string_equal(list, "0123, 456");
    name_list_add(list, sizeof list, "");
    assert_string_equal(list, "0123, 456");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_with_commas),
        cmocka_unit_test(test_what_does_not_fit_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
