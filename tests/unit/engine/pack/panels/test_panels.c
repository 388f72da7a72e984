/* Where each weight of a matrix stands in its panels, and how it is rounded. */
#include "engine/pack/panels/panels.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_pack_rounds_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
