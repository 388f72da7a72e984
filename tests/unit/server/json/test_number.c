/* Numbers of a body that stand for integers. */
#include "tests/support/test_support.h"

#include <math.h>

#include "server/json/number.h"

static void expect(const char *text, enum json_integer kind, int64_t value) {
    int64_t number = -99;
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    if (json_integer_read(json, &number) != kind || (kind == JSON_INTEGER_IS && number != value))
        fail_msg("%s was read as %lld", text, (long long)number);
    json_decref(json);
}

static void test_however_it_is_written(void **state) {
    (void)state;
    expect("8", JSON_INTEGER_IS, 8);
    expect("8.0", JSON_INTEGER_IS, 8);
    expect("-8.000", JSON_INTEGER_IS, -8);
    expect("1e2", JSON_INTEGER_IS, 100);
    expect("1500e-2", JSON_INTEGER_IS, 15);
    expect("-0.0", JSON_INTEGER_IS, 0);
    expect("9223372036854775807", JSON_INTEGER_IS, INT64_MAX);
    expect("-9223372036854775808.0", JSON_INTEGER_IS, INT64_MIN);
    expect("9007199254740993", JSON_INTEGER_IS, 9007199254740993); /* no double has it */
}

static void test_what_is_none(void **state) {
    (void)state;
    static const char *const none[] = {"8.5", "1e-3", "-0.1", "\"8\"", "true", "null", "[8]", "{}"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) expect(none[i], JSON_INTEGER_IS_NOT, 0);
}

static void test_beyond_int64(void **state) {
    (void)state;
    static const char *const huge[] = {"9223372036854775808.0", "-9223372036854777856.0", "1e19", "-1e300"};
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) expect(huge[i], JSON_INTEGER_IS_HUGE, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_however_it_is_written),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_beyond_int64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
