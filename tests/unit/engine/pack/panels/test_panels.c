/* Where each weight of a matrix stands in its panels, and how it is rounded. */
#include "engine/pack/panels/panels.h"

#include <math.h>

#include "tests/kernels/kernel_test.h"

static double weight_at(size_t n, size_t k) {
    return (double)n * 1000.0 + (double)k + 1.0;
}

/* In pieces of one panel, as tensors are packed that come in parts. */
static void test_pack(void **state) {
    (void)state;
    enum { N = 101, K = 7 };
    struct buffer panels = buffer_create(kernel_panels(N) * KERNEL_PANEL * K, 0);
    for (size_t first = 0; first < N; first += KERNEL_PANEL) {
        size_t count = N - first < KERNEL_PANEL ? N - first : KERNEL_PANEL;
        double w[KERNEL_PANEL * K];
        for (size_t n = 0; n < count; n++)
            for (size_t k = 0; k < K; k++) w[n * K + k] = weight_at(first + n, k);
        panels_pack(WEIGHT_TYPE_F32, w, first, count, K, panels.data);
    }
    buffer_check(&panels);
    for (size_t n = 0; n < kernel_panels(N) * KERNEL_PANEL; n++)
        for (size_t k = 0; k < K; k++) {
            double expected = n < N ? weight_at(n, k) : 0.0;
            size_t at = (n / KERNEL_PANEL * K + k) * KERNEL_PANEL + n % KERNEL_PANEL;
            assert_true((double)panels.data[at] == expected);
        }
    buffer_destroy(&panels);
}

static void test_pack_rounds_once(void **state) {
    (void)state;
    const double w[] = {0x1.000001p0, 0x1.0000010000001p0};
    float panels[KERNEL_PANEL * 2];
    panels_pack(WEIGHT_TYPE_F32, w, 0, 1, 2, panels);
    assert_true(panels[0] == 1.0f);
    assert_true(panels[KERNEL_PANEL] == 0x1.000002p0f);
}

/* By parts of rows and of columns: the bytes of the whole, every one of them written. */
static void test_parts(void **state) {
    (void)state;
    enum { N = 101, K = 617, ROWS = 13 };
    static double w[N * K];
    struct random r = {5};
    for (size_t i = 0; i < N * K; i++) w[i] = (double)random_float(&r);
    memset(w + 7 * K, 0, K * sizeof *w);
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
        const size_t bytes = kernel_panels(N) * kernel_panel_bytes(type, K);
        const size_t step = panels_columns_step(type, K);
        unsigned char *whole = malloc(bytes), *parts = malloc(bytes);
        double largest[N] = {0};
        memset(whole, 0x5a, bytes);
        memset(parts, 0xa5, bytes);
        panels_pack(type, w, 0, N, K, whole);
        struct panels_part part = {
            .type = type, .n = N, .k = K, .rows = N, .columns = K, .w = w, .stride = K};
        panels_measure(&part, largest);
        for (size_t row = 0; row < N; row += ROWS)
            for (size_t column = 0; column < K; column += step) {
                part.row = row, part.rows = N - row < ROWS ? N - row : ROWS;
                part.column = column, part.columns = K - column < step ? K - column : step;
                part.w = w + row * K + column;
                part.largest = largest + row;
                panels_pack_part(&part, parts);
            }
        if (memcmp(whole, parts, bytes) != 0) fail_msg("%s", weight_type_name(type));
        free(whole);
        free(parts);
    }
}

/* The largest weight is 127 steps and none is more, however its scale is rounded. */
static void test_largest_of_int8(void **state) {
    (void)state;
    struct random r = {6};
    for (int round = 0; round < 3000; round++) {
        double w[64];
        unsigned char panel[KERNEL_PANEL * 64 + KERNEL_PANEL * sizeof(float)] __attribute__((aligned(64)));
        for (size_t i = 0; i < 64; i++)
            w[i] = ldexp((double)random_float(&r) + 1e-9 * (double)random_float(&r), round % 200 - 100);
        const size_t at = random_below(&r, 64);
        for (size_t i = 0; i < 64; i++) w[at] = fmax(fabs(w[at]), fabs(w[i]));
        if (round % 2) w[at] = -w[at];
        panels_pack(WEIGHT_TYPE_INT8, w, 0, 1, 64, panel);
        for (size_t i = 0; i < 64; i++) assert_in_range(panel[i / 4 * KERNEL_PANEL * 4 + i % 4], 1, 255);
        assert_int_equal(panel[at / 4 * KERNEL_PANEL * 4 + at % 4], round % 2 ? 1 : 255);
    }
}

/* Its bytes of int8 with what is rounded with feedback in the second block of three. */
static void pack_with_feedback(const double *w, size_t rows, size_t k, size_t rank, unsigned char *panel) {
    double directions[1][FEEDBACK_COLUMNS];
    struct feedback_block blocks[3] = {{0}};
    for (size_t i = 0; i < FEEDBACK_COLUMNS; i++) directions[0][i] = i % 5 ? 0.125 : -0.125;
    feedback_block_set(&blocks[1], rank, (const double(*)[FEEDBACK_COLUMNS])directions, 99);
    const struct panels_part part = {.type = WEIGHT_TYPE_INT8,
                                     .n = rows,
                                     .k = k,
                                     .rows = rows,
                                     .columns = k,
                                     .w = w,
                                     .stride = k,
                                     .feedback = blocks};
    panels_pack_part(&part, panel);
}

/* Scales are those of rounding to the nearest, and so are levels of blocks without a direction, and of rows without a scale. */
static void test_feedback_of_int8(void **state) {
    (void)state;
    enum { ROWS = 41, K = 160, BLOCK = FEEDBACK_COLUMNS * KERNEL_PANEL, LEVELS = 3 * BLOCK };
    static unsigned char nearest[LEVELS + KERNEL_PANEL * sizeof(float)] __attribute__((aligned(64)));
    static unsigned char packed[sizeof nearest] __attribute__((aligned(64)));
    static double w[ROWS * K];
    struct random r = {8};
    for (size_t i = 0; i < ROWS * K; i++) w[i] = (double)random_float(&r);
    memset(w + 3 * K, 0, K * sizeof *w);
    w[30 * K + 70] = (double)NAN;
    w[31 * K + 1] = (double)INFINITY;
    panels_pack(WEIGHT_TYPE_INT8, w, 0, ROWS, K, nearest);
    pack_with_feedback(w, ROWS, K, 0, packed);
    assert_memory_equal(packed, nearest, sizeof packed);
    pack_with_feedback(w, ROWS, K, 1, packed);
    assert_memory_equal(packed, nearest, BLOCK);
    assert_memory_equal(packed + 2 * BLOCK, nearest + 2 * BLOCK, sizeof packed - 2 * BLOCK);
    size_t changed = 0;
    for (size_t i = BLOCK; i < (size_t)2 * BLOCK; i++) {
        const size_t row = i / 4 % KERNEL_PANEL;
        if (row == 3 || row == 30 || row == 31 || row >= ROWS) assert_int_equal(packed[i], 128);
        assert_in_range(packed[i] + 1 - nearest[i], 0, 2);
        changed += packed[i] != nearest[i];
    }
    assert_in_range(changed, ROWS, BLOCK / 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_pack_rounds_once),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_largest_of_int8),
        cmocka_unit_test(test_feedback_of_int8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
