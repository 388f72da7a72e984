#include "tests/support/test_support.h"

#include "server/memory/admission.h"

static void test_bounds(void **state) {
    (void)state;
    struct admission a = {.requests_max = 2, .bytes_max = 100};
    assert_true(admission_take_request(&a));
    assert_true(admission_take_request(&a));
    assert_false(admission_take_request(&a));
    admission_give_request(&a);
    assert_true(admission_take_request(&a));
    assert_true(admission_take_bytes(&a, 60));
    assert_false(admission_take_bytes(&a, 41));
    assert_false(admission_take_bytes(&a, SIZE_MAX));
    assert_true(admission_take_bytes(&a, 40));
    admission_give_bytes(&a, 100);
    assert_true(admission_take_bytes(&a, 100));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
