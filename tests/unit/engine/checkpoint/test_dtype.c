#include "tests/support/test_support.h"

#include <float.h>
#include <math.h>

#include "engine/checkpoint/dtype.h"

/* The definition of the binary formats, evaluated in double. */
static double widen(uint64_t bits, int exponent_bits, int fraction_bits) {
    int exponent_max = (1 << exponent_bits) - 1, bias = exponent_max >> 1;
    int exponent = (int)(bits >> fraction_bits) & exponent_max;
    double sign = bits >> (exponent_bits + fraction_bits) & 1 ? -1.0 : 1.0;
    double fraction = (double)(bits & ((1ull << fraction_bits) - 1));
    if (exponent == exponent_max) return fraction != 0 ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, 1 - bias - fraction_bits);
    return sign * ldexp(ldexp(1, fraction_bits) + fraction, exponent - bias - fraction_bits);
}

static void assert_same(double found, double expected, uint64_t bits) {
    if (isnan(expected) && isnan(found)) return;
    if (memcmp(&found, &expected, sizeof found) != 0)
        fail_msg("bits %llx: %a; expected %a", (unsigned long long)bits, found, expected);
}

/* Elements whose bits come from bits_at(i), read at an odd address and with several strides. */
static void check(enum dtype dtype, size_t count, uint64_t (*bits_at)(size_t), int exponent_bits,
                  int fraction_bits) {
    static const size_t strides[] = {1, 2, 7};
    size_t size = dtype_size(dtype);
    unsigned char *bytes = malloc(count * size + 1);
    double *values = malloc((count + 1) * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = bits_at(i);
        memcpy(bytes + 1 + i * size, &bits, size);
    }
    for (size_t s = 0; s < sizeof strides / sizeof *strides; s++) {
        size_t n = (count - 1) / strides[s] + 1;
        values[n] = 12345.0;
        dtype_read(dtype, bytes + 1, strides[s], n, values);
        for (size_t i = 0; i < n; i++) {
            uint64_t bits = bits_at(i * strides[s]);
            assert_same(values[i], widen(bits, exponent_bits, fraction_bits), bits);
        }
        assert_true(values[n] == 12345.0); /* nothing beyond */
    }
    free(bytes);
    free(values);
}

static uint64_t bits_counted(size_t i) {
    return i;
}

/* Ends and middles of every exponent, then numbers spread over all bits. */
static uint64_t bits_of_f32(size_t i) {
    static const uint32_t fractions[] = {0, 1, 0x400000, 0x7fffff};
    if (i < 2 * 256 * 4) return (uint64_t)(i / 4) << 23 | fractions[i % 4];
    return (uint32_t)i * 2654435761u;
}

static uint64_t bits_of_f64(size_t i) {
    return (i * 0x9e3779b97f4a7c15ull) & ~(i % 3 ? 0 : 0x7ff0000000000000ull);
}

static void test_every_half(void **state) {
    (void)state;
    check(DTYPE_F16, 0x10000, bits_counted, 5, 10);
}

static void test_every_bfloat(void **state) {
    (void)state;
    check(DTYPE_BF16, 0x10000, bits_counted, 8, 7);
}

static void test_floats(void **state) {
    (void)state;
    check(DTYPE_F32, 20000, bits_of_f32, 8, 23);
}

static void test_doubles(void **state) {
    (void)state;
    check(DTYPE_F64, 20000, bits_of_f64, 11, 52);
}

static void test_short_counts_and_stride_zero(void **state) {
    (void)state;
    float source[40];
    double values[40];
    for (int i = 0; i < 40; i++) source[i] = (float)i + 0.5f;
    for (size_t count = 0; count < 40; count++) {
        for (int i = 0; i < 40; i++) values[i] = -1;
        dtype_read(DTYPE_F32, source, 1, count, values);
        for (size_t i = 0; i < 40; i++) assert_true(values[i] == (i < count ? (double)i + 0.5 : -1.0));
    }
    dtype_read(DTYPE_F32, source + 3, 0, 5, values);
    for (size_t i = 0; i < 5; i++) assert_true(values[i] == 3.5);
}

static void test_names_and_sizes(void **state) {
    (void)state;
    assert_string_equal(dtype_name(DTYPE_BF16), "BF16");
    assert_string_equal(dtype_name(DTYPE_F64), "F64");
    assert_int_equal(dtype_size(DTYPE_OTHER), 0);
    assert_int_equal(dtype_size(DTYPE_F16), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_half),
        cmocka_unit_test(test_every_bfloat),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_short_counts_and_stride_zero),
        cmocka_unit_test(test_names_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
