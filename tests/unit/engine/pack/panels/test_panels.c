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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_pack_rounds_once),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_largest_of_int8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
