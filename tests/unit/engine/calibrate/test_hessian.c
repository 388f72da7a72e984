/* Sums of products of inputs against plain double precision, at widths about the panels, whole and cut into stretches;
 * the same bits for any number of threads and every instruction set. */
#include <math.h>

#include "engine/calibrate/hessian.h"
#include "tests/support/test_support.h"

enum { ROWS = 37, BLOCKS = 3, IN_MAX = 400, STRIDE = IN_MAX + 5, STRETCH = 2 * HESSIAN_STRETCH_STEP };

struct inputs {
    float x[BLOCKS][ROWS * STRIDE], row_scale[BLOCKS][ROWS], smoothing[IN_MAX];
};

static int setup(void **state) {
    struct inputs *inputs = malloc(sizeof *inputs);
    float *all = (float *)inputs;
    srand(3);
    for (size_t i = 0; i < sizeof *inputs / sizeof *all; i++) all[i] = (float)rand() / (float)RAND_MAX - 0.3f;
    *state = inputs;
    return 0;
}

static int teardown(void **state) {
    free(*state);
    return 0;
}

/* The last block has fewer rows; the first has no scales of rows. */
static struct hessian_rows block_of(const struct inputs *inputs, size_t block) {
    return (struct hessian_rows){.x = inputs->x[block],
                                 .stride = STRIDE,
                                 .rows = block + 1 < BLOCKS ? ROWS : 5,
                                 .row_scale = block ? inputs->row_scale[block] : NULL,
                                 .smoothing = inputs->smoothing};
}

static void sum_up(struct hessian *h, const struct inputs *inputs, size_t in, size_t threads,
                   const struct kernel_table *kernels) {
    struct error e = {0};
    struct workers *workers;
    assert_ok(workers_create(threads, &workers, &e));
    assert_ok(hessian_init(h, IN_MAX, in > STRETCH ? STRETCH : HESSIAN_STRETCH_MAX, ROWS, &e));
    hessian_begin(h, in);
    for (size_t i = 0; i < BLOCKS; i++) {
        const struct hessian_rows rows = block_of(inputs, i);
        hessian_add(h, &rows, kernels, workers);
    }
    workers_destroy(workers);
}

static double plain(const struct inputs *inputs, size_t a, size_t b) {
    double sum = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        const struct hessian_rows rows = block_of(inputs, i);
        for (size_t r = 0; r < rows.rows; r++) {
            const double scale = rows.row_scale ? (double)rows.row_scale[r] : 1;
            sum += scale * scale * (double)rows.x[r * STRIDE + a] * (double)rows.x[r * STRIDE + b] *
                   (double)rows.smoothing[a] * (double)rows.smoothing[b];
        }
    }
    return sum;
}

static const size_t widths[] = {1, 31, 48, 49, 96, 100, 191, 193, 255, 384, 400};
#define WIDTHS (sizeof widths / sizeof *widths)

static void test_sums_are_those_of_the_definition(void **state) {
    for (size_t i = 0; i < WIDTHS; i++) {
        struct hessian h;
        size_t covered = 0;
        sum_up(&h, *state, widths[i], 2, kernel_scalar());
        for (size_t s = 0; s < h.stretches; s++) {
            size_t first;
            double *sums;
            const size_t width = hessian_stretch(&h, s, &first, &sums);
            assert_int_equal(first, covered);
            covered += width;
            for (size_t a = 0; a < width; a++)
                for (size_t b = 0; b <= a; b++)
                    if (!(fabs(sums[a * width + b] - plain(*state, first + a, first + b)) < 1e-4))
                        fail_msg("%zu: [%zu][%zu] is %g", widths[i], first + a, first + b,
                                 sums[a * width + b]);
        }
        assert_int_equal(covered, widths[i]);
        assert_true((h.stretches > 1) == (widths[i] > STRETCH));
        hessian_deinit(&h);
    }
}

static void test_bits_are_those_of_any_threads_and_set(void **state) {
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    const size_t count = kernel_available(tables);
    for (size_t i = 0; i < WIDTHS; i++) {
        struct hessian expected, found;
        sum_up(&expected, *state, widths[i], 1, kernel_scalar());
        for (size_t t = 0; t < count; t++) {
            sum_up(&found, *state, widths[i], 1 + t % 3, tables[t]);
            assert_memory_equal(found.sums, expected.sums,
                                found.stretches * found.stretch * found.stretch * sizeof *found.sums);
            hessian_deinit(&found);
        }
        hessian_deinit(&expected);
    }
}

/* Memory has its limit where a linear is wide: it grows with the width, not with its square. */
static void test_wide_linears_are_bounded(void **state) {
    (void)state;
    const size_t narrow = hessian_bytes(2 * HESSIAN_STRETCH_MAX, HESSIAN_STRETCH_MAX, 1),
                 wide = hessian_bytes(16 * HESSIAN_STRETCH_MAX, HESSIAN_STRETCH_MAX, 1);
    assert_in_range(wide, 7 * narrow, 9 * narrow);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sums_are_those_of_the_definition, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bits_are_those_of_any_threads_and_set, setup, teardown),
        cmocka_unit_test(test_wide_linears_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
