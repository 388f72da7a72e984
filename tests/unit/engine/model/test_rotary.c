#include "engine/model/rotary.h"

#include <math.h>

#include "tests/support/test_support.h"

/* Eight pairs of a head of 16. */
#define PAIRS 8

static struct rotary plain(enum rotary_scaling scaling) {
    return (struct rotary){.dimensions = 2 * PAIRS,
                           .theta = 10000,
                           .scaling = scaling,
                           .factor = 4,
                           .scaling_context = 64,
                           .slow = 1,
                           .fast = scaling == ROTARY_SCALING_LLAMA3 ? 4 : 32,
                           .truncate = true,
                           .attention_factor = 1};
}

static double unscaled(size_t pair) {
    return pow(10000, -(double)pair / PAIRS);
}

static void assert_near(double found, double expected) {
    if (!(fabs(found - expected) <= 1e-12 * expected))
        fail_msg("found %.17g, expected %.17g", found, expected);
}

static void test_linear_divides_all(void **state) {
    (void)state;
    double frequencies[PAIRS];
    struct rotary rotary = plain(ROTARY_SCALING_LINEAR);
    rotary_frequencies(&rotary, 0, frequencies);
    for (size_t i = 0; i < PAIRS; i++) assert_near(frequencies[i], unscaled(i) / 4);
}

/* Turns within the context: 64 f / 2 pi = 10.2, 3.2, 1.02, 0.32, ... */
static void test_llama3_by_wavelength(void **state) {
    (void)state;
    double frequencies[PAIRS];
    struct rotary rotary = plain(ROTARY_SCALING_LLAMA3);
    rotary_frequencies(&rotary, 0, frequencies);
    assert_near(frequencies[0], 1);
    for (size_t i = 1; i < 3; i++) {
        double smooth = (64 / (2 * M_PI / unscaled(i)) - 1) / 3;
        assert_near(frequencies[i], (1 - smooth) * unscaled(i) / 4 + smooth * unscaled(i));
    }
    for (size_t i = 3; i < PAIRS; i++) assert_near(frequencies[i], unscaled(i) / 4);
}

/* 32 turns are before the first pair, one is at pair 16 ln(64 / 2 pi) / (2 ln 10000) = 2.016. */
static void test_yarn_ramp(void **state) {
    (void)state;
    double frequencies[PAIRS];
    struct rotary rotary = plain(ROTARY_SCALING_YARN);
    for (int whole = 0; whole < 2; whole++) {
        rotary.truncate = whole;
        double high = 16 * log(64 / (2 * M_PI)) / (2 * log(10000));
        if (whole) high = 3;
        rotary_frequencies(&rotary, 0, frequencies);
        for (size_t i = 0; i < PAIRS; i++) {
            double ramp = fmin(1, (double)i / high);
            assert_near(frequencies[i], unscaled(i) * (ramp / 4 + 1 - ramp));
        }
    }
}

/* A sequence that may outgrow the training's context has the long factors from its beginning. */
static void test_longrope_by_length(void **state) {
    (void)state;
    double frequencies[PAIRS], shorts[PAIRS], longs[PAIRS];
    for (size_t i = 0; i < PAIRS; i++) {
        shorts[i] = 1 + (double)i;
        longs[i] = 10 + (double)i;
    }
    struct model_description d = {.rotary = plain(ROTARY_SCALING_LONGROPE)};
    d.rotary.short_factor = shorts;
    d.rotary.long_factor = longs;
    assert_int_equal(rotary_length(&d, 64), 0);
    assert_int_equal(rotary_length(&d, 65), rotary_length(&d, 1000));
    rotary_frequencies(&d.rotary, rotary_length(&d, 64), frequencies);
    for (size_t i = 0; i < PAIRS; i++) assert_near(frequencies[i], unscaled(i) / shorts[i]);
    rotary_frequencies(&d.rotary, rotary_length(&d, 65), frequencies);
    for (size_t i = 0; i < PAIRS; i++) assert_near(frequencies[i], unscaled(i) / longs[i]);
}

static void test_dynamic_by_length(void **state) {
    (void)state;
    double frequencies[PAIRS];
    struct model_description d = {.rotary = plain(ROTARY_SCALING_DYNAMIC)};
    assert_int_equal(rotary_length(&d, 64), 0);
    assert_int_equal(rotary_length(&d, 100), 100);
    rotary_frequencies(&d.rotary, 0, frequencies);
    assert_near(frequencies[1], unscaled(1));
    rotary_frequencies(&d.rotary, 100, frequencies);
    double theta = 10000 * pow(4.0 * 100 / 64 - 3, 16.0 / 14);
    for (size_t i = 0; i < PAIRS; i++) assert_near(frequencies[i], pow(theta, -(double)i / PAIRS));
}

/* The length counts where either kind of layer depends on it, and nowhere else. */
static void test_length_of_both_bases(void **state) {
    (void)state;
    struct model_description d = {.rotary = plain(ROTARY_SCALING_YARN),
                                  .local_rotary = plain(ROTARY_SCALING_NONE)};
    assert_int_equal(rotary_length(&d, 1000), 0);
    d.local_rotary.scaling = ROTARY_SCALING_DYNAMIC;
    assert_int_equal(rotary_length(&d, 1000), 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_divides_all), cmocka_unit_test(test_llama3_by_wavelength),
        cmocka_unit_test(test_yarn_ramp),          cmocka_unit_test(test_longrope_by_length),
        cmocka_unit_test(test_dynamic_by_length),  cmocka_unit_test(test_length_of_both_bases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
