/* Rotations are orthonormal at any width, the same whatever part is asked for, and spread one large entry over its
 * block. */
#include <math.h>

#include "engine/fold/rotation.h"
#include "tests/support/test_support.h"

#define WIDTH_MAX 300

static struct rotation entries(size_t count) {
    return (struct rotation){.count = count, .lanes = 1, .order = rotation_order(count)};
}

static void test_orders(void **state) {
    (void)state;
    static const size_t rows[][2] = {{0, 0},   {1, 1},   {2, 2},   {3, 2},
                                     {63, 32}, {64, 64}, {65, 64}, {100000, 64}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(rotation_order(rows[i][0]), rows[i][1]);
}

/* Q Q' = I: unit vectors come out with length 1, at right angles to each other. */
static void test_orthonormal(void **state) {
    (void)state;
    static double q[WIDTH_MAX][WIDTH_MAX];
    for (size_t width = 1; width <= WIDTH_MAX; width += width < 140 ? 1 : 37) {
        const struct rotation r = entries(width);
        for (size_t i = 0; i < width; i++) {
            memset(q[i], 0, sizeof q[i]);
            q[i][i] = 1;
            rotation_apply(&r, q[i], 1, 0, width);
        }
        for (size_t i = 0; i < width; i++)
            for (size_t k = i; k < width; k++) {
                double product = 0;
                for (size_t j = 0; j < width; j++) product += q[i][j] * q[k][j];
                if (!(fabs(product - (i == k)) <= 1e-14))
                    fail_msg("width %zu: rows %zu and %zu", width, i, k);
            }
    }
}

/* Q' is the way back, at any width. */
static void test_undone(void **state) {
    (void)state;
    for (size_t width = 0; width <= WIDTH_MAX; width += width < 140 ? 1 : 37) {
        const struct rotation r = entries(width);
        double x[WIDTH_MAX + 1], before[WIDTH_MAX + 1];
        for (size_t i = 0; i <= width; i++) before[i] = x[i] = sin((double)(i * i + width));
        rotation_apply(&r, x, 1, 0, width);
        rotation_undo(&r, x);
        for (size_t i = 0; i <= width; i++)
            if (!(fabs(x[i] - before[i]) <= 1e-14)) fail_msg("width %zu, entry %zu", width, i);
    }
}

static void test_an_outlier_is_spread(void **state) {
    (void)state;
    double x[576] = {0};
    const struct rotation r = entries(576);
    x[100] = 8;
    rotation_apply(&r, x, 1, 0, 576);
    for (size_t i = 0; i < 576; i++) assert_true(fabs(fabs(x[i]) - (i / 64 == 1)) <= 1e-15);
}

/* What all entries have in common comes out flat, not in one of them; and two transforms of a block are far from
 * none. */
static void test_a_mean_is_spread(void **state) {
    (void)state;
    double x[64];
    const struct rotation r = entries(64);
    for (size_t i = 0; i < 64; i++) x[i] = 1;
    rotation_apply(&r, x, 1, 0, 64);
    for (size_t i = 0; i < 64; i++) assert_true(fabs(fabs(x[i]) - 1) <= 1e-14);
    for (size_t i = 0; i < 64; i++) x[i] = i == 13;
    rotation_apply(&r, x, 1, 0, 64);
    rotation_apply(&r, x, 1, 0, 64);
    for (size_t i = 0; i < 64; i++) assert_true(fabs(fabs(x[i]) - 0.125) <= 1e-14);
}

/* Items of several entries: each lane on its own, as if it were alone. */
static void test_lanes(void **state) {
    (void)state;
    enum { COUNT = 43, LANES = 19, STRIDE = 23 };
    double x[COUNT * STRIDE], lane[COUNT];
    struct rotation r = entries(COUNT), one = r;
    r.lanes = LANES;
    for (size_t i = 0; i < COUNT * STRIDE; i++) x[i] = sin((double)(i * i));
    double before[COUNT * STRIDE];
    memcpy(before, x, sizeof x);
    rotation_apply(&r, x, STRIDE, 0, COUNT);
    for (size_t k = 0; k < STRIDE; k++) {
        for (size_t i = 0; i < COUNT; i++) lane[i] = before[i * STRIDE + k];
        if (k < LANES) rotation_apply(&one, lane, 1, 0, COUNT);
        for (size_t i = 0; i < COUNT; i++) assert_true(fabs(x[i * STRIDE + k] - lane[i]) <= 1e-14);
    }
}

/* Any part of an axis that begins anywhere in its holder: its cover is small, and gives the bits of the whole. */
static void test_covers(void **state) {
    (void)state;
    enum { BEFORE = 5, AFTER = 7 };
    for (size_t count = 1; count <= 200; count += 3) {
        struct rotation r = entries(count);
        r.first = BEFORE;
        const size_t total = BEFORE + count + AFTER;
        double plain[WIDTH_MAX], whole[WIDTH_MAX], part[WIDTH_MAX];
        for (size_t i = 0; i < total; i++) whole[i] = plain[i] = cos((double)(3 * i * i));
        rotation_apply(&r, whole, 1, 0, total);
        assert_memory_equal(whole, plain, BEFORE * sizeof *whole);
        assert_memory_equal(whole + BEFORE + count, plain + BEFORE + count, AFTER * sizeof *whole);
        for (size_t first = 0; first < total; first++)
            for (size_t end = first + 1; end <= total; end += 1 + end % 7) {
                size_t from = first, to = end;
                rotation_cover(&r, &from, &to);
                assert_true(from <= first && to >= end && to <= total);
                assert_true(to - from <= end - first + ROTATION_COVER_MAX);
                memcpy(part, plain + from, (to - from) * sizeof *part);
                rotation_apply(&r, part, 1, from, to);
                assert_memory_equal(part + (first - from), whole + first, (end - first) * sizeof *part);
            }
    }
}

/* Blocks after one another: each needs no rows but its own, and together they are all there is. */
static void test_block_ends(void **state) {
    (void)state;
    enum { BEFORE = 70, AFTER = 50, STEP = 48 };
    for (size_t count = 1; count <= 300; count++) {
        struct rotation r = entries(count);
        r.first = BEFORE;
        size_t last = 0, at = 0;
        for (; at < BEFORE + count + AFTER; at = last) {
            size_t from = at, to = last = rotation_block_end(&r, at, STEP);
            assert_true(last > at && last - at < 2 * ROTATION_ORDER_MAX);
            rotation_cover(&r, &from, &to);
            assert_true(from == at && to == last);
        }
    }
    const struct rotation none = {0};
    assert_int_equal(rotation_block_end(&none, 5, STEP), 5 + STEP);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders),           cmocka_unit_test(test_undone),
        cmocka_unit_test(test_orthonormal),      cmocka_unit_test(test_an_outlier_is_spread),
        cmocka_unit_test(test_a_mean_is_spread), cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_covers),           cmocka_unit_test(test_block_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
