/* The factor against its definition in plain loops, at sizes about the blocks; the same bits for any number of threads;
 * what has no factor. */
#include <math.h>

#include "engine/calibrate/cholesky.h"
#include "tests/support/test_support.h"

static double uniform(void) {
    return (double)rand() / RAND_MAX - 0.5;
}

/* B B' + a little: positive definite. */
static double *make(size_t n) {
    double *b = malloc(n * n * sizeof *b), *a = malloc(n * n * sizeof *a);
    for (size_t i = 0; i < n * n; i++) b[i] = uniform();
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = i == j ? 0.1 : 0;
            for (size_t k = 0; k < n; k++) sum += b[i * n + k] * b[j * n + k];
            a[i * n + j] = sum;
        }
    free(b);
    return a;
}

/* Row by row, as the definition says. */
static void plain_factor(double *a, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (size_t k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
}

static double *copy(const double *a, size_t n) {
    double *b = malloc(n * n * sizeof *b);
    memcpy(b, a, n * n * sizeof *b);
    return b;
}

static const size_t sizes[] = {1, 2, 7, 63, 64, 65, 127, 130, 193, 320};

static void each_size(void (*check)(const double *a, size_t n, struct workers *one, struct workers *three)) {
    struct error e = {0};
    struct workers *one, *three;
    assert_ok(workers_create(1, &one, &e));
    assert_ok(workers_create(3, &three, &e));
    srand(7);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        double *a = make(sizes[i]);
        check(a, sizes[i], one, three);
        free(a);
    }
    workers_destroy(one);
    workers_destroy(three);
}

static void check_definition(const double *a, size_t n, struct workers *one, struct workers *three) {
    (void)one;
    double *found = copy(a, n), *expected = copy(a, n);
    assert_true(cholesky_factor(found, n, three));
    plain_factor(expected, n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++)
            if (!(fabs(found[i * n + j] - expected[i * n + j]) <= 1e-9 * (1 + fabs(expected[i * n + j]))))
                fail_msg("%zu: [%zu][%zu] is %.17g, not %.17g", n, i, j, found[i * n + j],
                         expected[i * n + j]);
    free(found);
    free(expected);
}

static void test_it_is_the_factor(void **state) {
    (void)state;
    each_size(check_definition);
}

static void check_threads(const double *a, size_t n, struct workers *one, struct workers *three) {
    double *first = copy(a, n), *second = copy(a, n);
    assert_true(cholesky_factor(first, n, one));
    assert_true(cholesky_factor(second, n, three));
    for (size_t i = 0; i < n; i++)
        assert_memory_equal(first + i * n, second + i * n, (i + 1) * sizeof *first);
    free(first);
    free(second);
}

static void test_threads_change_no_bit(void **state) {
    (void)state;
    each_size(check_threads);
}

static void check_refused(const double *a, size_t n, struct workers *one, struct workers *three) {
    (void)one;
    const double wrong[] = {-1, NAN, INFINITY};
    for (size_t i = 0; i < 3; i++) {
        double *b = copy(a, n);
        b[(n - 1) * n + n - 1] = wrong[i];
        assert_false(cholesky_factor(b, n, three));
        free(b);
    }
}

static void test_what_has_no_factor(void **state) {
    (void)state;
    each_size(check_refused);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_the_factor),
        cmocka_unit_test(test_threads_change_no_bit),
        cmocka_unit_test(test_what_has_no_factor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
