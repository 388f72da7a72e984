#include "engine/fold/row_product.h"

#include <float.h>
#include <math.h>

#include "tests/support/test_support.h"

#define COUNT_MAX 1031

/* Against the sum in long double: within what eight running sums may lose. */
static void test_accuracy(void **state) {
    (void)state;
    static double a[COUNT_MAX], b[COUNT_MAX];
    srand(1);
    for (size_t i = 0; i < COUNT_MAX; i++) {
        a[i] = ldexp((double)rand() / RAND_MAX - 0.4, rand() % 20 - 10);
        b[i] = (double)rand() / RAND_MAX - 0.6;
    }
    for (size_t count = 0; count <= COUNT_MAX; count++) {
        long double sum = 0, size = 0;
        for (size_t i = 0; i < count; i++) {
            sum += (long double)a[i] * b[i];
            size += fabsl((long double)a[i] * b[i]);
        }
        double views = ((double)count / 8 + 4) * DBL_EPSILON / 2 * (double)size;
        assert_true(fabs(row_product(a, b, count) - (double)sum) <= views);
    }
}

static void test_every_place_counts_once(void **state) {
    (void)state;
    double a[40], b[40];
    for (size_t i = 0; i < 40; i++) a[i] = (double)(i + 1), b[i] = 1;
    for (size_t count = 0; count <= 40; count++)
        assert_true(row_product(a, b, count) == (double)(count * (count + 1) / 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_every_place_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
