/* Numbers of JSON as decimal digits. */
#include "tests/support/test_support.h"

#include "engine/grammar/sources/json_decimal.h"

static json_t *number(const char *text) {
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

static struct json_decimal read(const char *text) {
    struct json_decimal d;
    json_t *value = number(text);
    assert_true(json_decimal_read(value, &d));
    json_decref(value);
    return d;
}

static void test_reads_digits(void **state) {
    static const struct {
        const char *text, *whole, *fraction;
        bool negative;
    } cases[] = {
        {"0", "0", "", false},
        {"-0.0", "0", "", false},
        {"0.1", "0", "1", false},
        {"-12.50", "12", "5", true},
        {"1e3", "1000", "", false},
        {"1.25e1", "12", "5", false},
        {"1e-5", "0", "00001", false},
        {"123456789", "123456789", "", false},
        {"1e25", "100000000000000000000", "", false},
        {"-9223372036854775808", "9223372036854775808", "", true},
        {"0.30000000000000004", "0", "30000000000000004", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_decimal d = read(cases[i].text);
        assert_string_equal(d.whole, cases[i].whole);
        assert_string_equal(d.fraction, cases[i].fraction);
        assert_int_equal(d.negative, cases[i].negative);
    }
}

static void test_too_small_ones_are_refused(void **state) {
    struct json_decimal d;
    json_t *value = number("1e-20");
    (void)state;
    assert_false(json_decimal_read(value, &d));
    json_decref(value);
}

static void test_order(void **state) {
    static const char *const ascending[] = {"-1e30", "-10", "-9.5", "-9.25", "-0.1", "0",
                                            "0.09",  "0.1", "0.11", "9",     "10",   "1e30"};
    (void)state;
    for (size_t i = 0; i < sizeof ascending / sizeof ascending[0]; i++)
        for (size_t k = 0; k < sizeof ascending / sizeof ascending[0]; k++) {
            struct json_decimal a = read(ascending[i]), b = read(ascending[k]);
            int order = json_decimal_compare(&a, &b);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
}

static void test_counts_up_and_down(void **state) {
    static const struct {
        const char *low, *high;
    } pairs[] = {{"0", "1"}, {"9", "10"}, {"10", "11"}, {"99", "100"}, {"1999", "2000"}};
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char whole[JSON_DECIMAL_WHOLE_MAX + 1] = "";
        memcpy(whole, pairs[i].low, strlen(pairs[i].low));
        json_decimal_whole_up(whole);
        assert_string_equal(whole, pairs[i].high);
        json_decimal_whole_down(whole);
        assert_string_equal(whole, pairs[i].low);
    }
}

static void test_scales(void **state) {
    struct json_decimal d = read("-1.25");
    __int128 value;
    (void)state;
    assert_true(json_decimal_scale(&d, 3, &value));
    assert_true(value == -1250);
    assert_false(json_decimal_scale(&d, 1, &value));
    assert_false(json_decimal_scale(&d, JSON_DECIMAL_SCALED_MAX, &value));
}

static void test_texts_are_short(void **state) {
    static const char *const texts[] = {
        "0.1", "1.0", "-2.5", "7", "1e+100", "0.30000000000000004", "-9223372036854775808"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char out[JSON_DECIMAL_TEXT_MAX];
        json_t *value = number(texts[i]);
        assert_int_equal(json_decimal_text(value, out), strlen(texts[i]));
        assert_string_equal(out, texts[i]);
        json_decref(value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_digits), cmocka_unit_test(test_too_small_ones_are_refused),
        cmocka_unit_test(test_order),        cmocka_unit_test(test_counts_up_and_down),
        cmocka_unit_test(test_scales),       cmocka_unit_test(test_texts_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
