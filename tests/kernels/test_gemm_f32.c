/* gemm_f32: every table against the scalar one bit by bit, and the scalar one against double precision.
 * `test_kernels_gemm_f32 --time` prints GFLOP/s instead, beside OpenBLAS where it is installed. */
#include "tests/kernels/gemm_scene.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"

static void test_same_bits_in_every_table(void **state) {
    (void)state;
    struct random r = {1};
    for (int i = 0; i < 300; i++) {
        struct gemm_case p = case_create(&r, WEIGHT_TYPE_F32, random_between(&r, 1, 19),
                                         random_between(&r, 1, 130), random_between(&r, 1, 150), i % 3 == 0);
        compare_tables(&p);
        case_destroy(&p);
    }
}

/* Rows about the tiles that kernels.def names, whatever sets it has. */
static void test_same_bits_about_tiles_of_the_table(void **state) {
    (void)state;
    struct random r = {11};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    const size_t count = kernel_available(tables);
    for (size_t t = 1; t < count; t++)
        for (size_t rows = 1; rows <= 2 * tables[t]->tile_rows[WEIGHT_TYPE_F32] + 1; rows++) {
            struct gemm_case p = case_create(&r, WEIGHT_TYPE_F32, rows, 97, 100, false);
            compare_tables(&p);
            case_destroy(&p);
        }
}

/* Accumulators that are stored between blocks of k, over several blocks of rows. */
static void test_same_bits_over_blocks(void **state) {
    (void)state;
    static const size_t sizes[][3] = {{9, 2049, 100}, {65, 1025, 50}, {513, 1030, 49}, {1030, 100, 50}};
    struct random r = {16};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct gemm_case p = case_create(&r, WEIGHT_TYPE_F32, sizes[i][0], sizes[i][1], sizes[i][2], false);
        compare_tables(&p);
        case_destroy(&p);
    }
}

static void test_same_bits_for_long_sums(void **state) {
    (void)state;
    struct random r = {2};
    for (size_t rows = 1; rows <= 9; rows++) {
        struct gemm_case p = case_create(&r, WEIGHT_TYPE_F32, rows, 3000 + rows, 49, false);
        compare_tables(&p);
        case_destroy(&p);
    }
}

/* Any split into tiles, one row alone or among 100: the same bits. */
static void test_same_bits_for_any_tiling(void **state) {
    (void)state;
    struct random r = {3};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    for (size_t t = 0; t < count; t++) {
        struct gemm_case p = case_create(&r, WEIGHT_TYPE_F32, 100, 77, 200, false);
        float *expected = case_run(&p, tables[t]);
        for (int repeat = 0; repeat < 10; repeat++) {
            case_clear(&p);
            size_t panels = kernel_panels(p.m.base.n), rows;
            for (size_t row = 0; row < p.row_count; row += rows) {
                rows = repeat == 0 ? 1 : random_between(&r, 1, 20);
                if (rows > p.row_count - row) rows = p.row_count - row;
                for (size_t panel = panels; panel-- > 0;) tables[t]->gemm_f32(&p.m.base, row, rows, panel, 1);
            }
            case_check_padding(&p);
            assert_same_bits(expected, p.out.data, p.out.count, "%s in tiles", tables[t]->name);
        }
        free(expected);
        case_destroy(&p);
    }
}

static void test_residual_may_be_out(void **state) {
    (void)state;
    struct random r = {4};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    struct gemm_case p = case_create(&r, WEIGHT_TYPE_F32, 11, 60, 101, false);
    p.m.base.residual = p.residual.data;
    float *expected = case_run(&p, kernel_scalar());
    for (size_t t = 0; t < count; t++) {
        case_clear(&p);
        for (size_t row = 0; row < p.row_count; row++)
            memcpy(p.out.data + row * p.m.base.out_stride, p.residual.data + row * p.m.base.out_stride,
                   p.m.base.n * sizeof(float));
        struct gemm m = p.m.base;
        m.residual = m.out;
        tables[t]->gemm_f32(&m, 0, p.row_count, 0, kernel_panels(m.n));
        assert_same_bits(expected, p.out.data, p.out.count, "%s in place", tables[t]->name);
    }
    free(expected);
    case_destroy(&p);
}

/* The hint is prefetched, never read: it may be anywhere. */
static void test_prefetch_is_not_read(void **state) {
    (void)state;
    struct random r = {9};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    struct gemm_case p = case_create(&r, WEIGHT_TYPE_F32, 70, 1100, 101, false);
    float *expected = case_run(&p, kernel_scalar());
    for (size_t t = 0; t < count; t++) {
        struct gemm m = p.m.base;
        m.prefetch = (const void *)(uintptr_t)KERNEL_ALIGN;
        case_clear(&p);
        tables[t]->gemm_f32(&m, 0, p.row_count, 0, kernel_panels(m.n));
        assert_same_bits(expected, p.out.data, p.out.count, "%s with a prefetch hint", tables[t]->name);
    }
    free(expected);
    case_destroy(&p);
}

static void test_nothing_without_rows_or_panels(void **state) {
    (void)state;
    struct random r = {5};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    struct gemm_case p = case_create(&r, WEIGHT_TYPE_F32, 3, 10, 50, false);
    for (size_t t = 0; t < count; t++) {
        case_clear(&p);
        tables[t]->gemm_f32(&p.m.base, 1, 0, 0, 2);
        tables[t]->gemm_f32(&p.m.base, 0, 3, 2, 0);
        for (size_t i = 0; i < p.out.count; i++) assert_true(p.out.data[i] == OUT_MARK);
    }
    case_destroy(&p);
}

/* The contract word by word: one accumulator from 0, across whatever blocks of k. */
static void test_each_sum_is_one_accumulator(void **state) {
    (void)state;
    struct random r = {10};
    static const size_t lengths[] = {1, 1023, 1024, 1025, 2048, 2500};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct gemm_case p = case_create(&r, WEIGHT_TYPE_F32, 3, lengths[i], 50, false);
        case_strip(&p);
        float *found = case_run(&p, kernel_scalar());
        for (size_t row = 0; row < p.row_count; row++)
            for (size_t n = 0; n < p.m.base.n; n++) {
                float sum = 0.0f;
                for (size_t k = 0; k < p.m.base.k; k++)
                    sum = fmaf(p.m.base.x[row * p.m.base.x_stride + k], (float)p.w[n * p.m.base.k + k], sum);
                assert_same_bits(&sum, found + row * p.m.base.out_stride + n, 1, "k %zu, row %zu, column %zu",
                                 p.m.base.k, row, n);
            }
        free(found);
        case_destroy(&p);
    }
}

/* Rounding of k fused multiply-adds in a row is at most k half-ulps of the sum of magnitudes; the epilogue
 * and the activation add a few. */
static void test_scalar_against_double(void **state) {
    (void)state;
    struct random r = {6};
    for (int i = 0; i < 60; i++) {
        struct gemm_case p = case_create(&r, WEIGHT_TYPE_F32, 3, random_between(&r, 1, 300),
                                         random_between(&r, 1, 100), false);
        float *found = case_run(&p, kernel_scalar());
        for (size_t row = 0; row < p.row_count; row++)
            for (size_t n = 0; n < p.m.base.n; n++) {
                double sum = 0, magnitude = 0;
                for (size_t k = 0; k < p.m.base.k; k++) {
                    double term = (double)p.m.base.x[row * p.m.base.x_stride + k] * p.w[n * p.m.base.k + k];
                    sum += term;
                    magnitude += fabs(term);
                }
                if (p.m.base.row_scale) sum *= (double)p.m.base.row_scale[row];
                if (p.m.base.bias) sum += (double)p.m.base.bias[n];
                double slope = p.m.base.activation == ACTIVATION_RELU_SQUARED ? 2 * fabs(sum) + 1 : 1.2;
                double tolerance = (double)(p.m.base.k + 8) * 0x1p-24 * (magnitude + 2) * slope;
                double expected = exact_activation(p.m.base.activation, sum);
                if (p.m.base.residual)
                    expected += (double)p.m.base.residual[row * p.m.base.residual_stride + n];
                double value = (double)found[row * p.m.base.out_stride + n];
                if (!(fabs(value - expected) <= tolerance))
                    fail_msg("k %zu, activation %d: found %g, expected %g within %g", p.m.base.k,
                             (int)p.m.base.activation, value, expected, tolerance);
            }
        free(found);
        case_destroy(&p);
    }
}

/* The epilogue of sums from elsewhere gives what a GEMM of the same sums gives. */
static void test_epilogue_rows(void **state) {
    (void)state;
    struct random r = {9};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    for (int i = 0; i < 60; i++) {
        struct gemm_case p = case_create(&r, WEIGHT_TYPE_F32, random_between(&r, 1, 9), 5,
                                         random_between(&r, 1, 120), i % 3 == 0);
        float *expected = case_run(&p, kernel_scalar());
        struct gemm bare = {.x = p.m.base.x,
                            .x_stride = p.m.base.x_stride,
                            .panels = p.m.base.panels,
                            .k = p.m.base.k,
                            .n = p.m.base.n};
        struct buffer sums = buffer_create(p.row_count * bare.n, 1);
        bare.out = sums.data;
        bare.out_stride = bare.n;
        kernel_scalar()->gemm_f32(&bare, 0, p.row_count, 0, kernel_panels(bare.n));
        for (size_t t = 0; t < count; t++) {
            struct gemm m = p.m.base;
            m.x = m.panels = NULL;
            case_clear(&p);
            for (size_t row = 0; row < p.row_count; row++)
                tables[t]->epilogue_rows(&m, sums.data, bare.n, row, 1);
            case_check_padding(&p);
            assert_same_bits(expected, p.out.data, p.out.count, "%s epilogue", tables[t]->name);
        }
        buffer_destroy(&sums);
        free(expected);
        case_destroy(&p);
    }
}

/* Panels of other tiles are not read: here the pages of both neighbours must not be touched. */
static void test_reads_only_its_panels(void **state) {
    (void)state;
    enum { K = 64, PANEL_BYTES = K * KERNEL_PANEL * (int)sizeof(float) };
    if (PANEL_BYTES % sysconf(_SC_PAGESIZE) != 0) skip();
    struct random r = {7};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    struct gemm_case p = case_create(&r, WEIGHT_TYPE_F32, 9, K, 3 * KERNEL_PANEL, false);
    float *expected = case_run(&p, kernel_scalar());
    char *pages = mmap(NULL, 3 * PANEL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    memcpy(pages, p.m.base.panels, 3 * PANEL_BYTES);
    assert_int_equal(mprotect(pages, PANEL_BYTES, PROT_NONE), 0);
    assert_int_equal(mprotect(pages + 2 * PANEL_BYTES, PANEL_BYTES, PROT_NONE), 0);
    for (size_t t = 0; t < count; t++) {
        struct gemm m = p.m.base;
        m.panels = (const float *)(const void *)pages;
        case_clear(&p);
        tables[t]->gemm_f32(&m, 0, p.row_count, 1, 1);
        for (size_t row = 0; row < p.row_count; row++) {
            size_t at = row * m.out_stride + KERNEL_PANEL;
            assert_same_bits(expected + at, m.out + at, KERNEL_PANEL, "%s", tables[t]->name);
        }
    }
    munmap(pages, 3 * PANEL_BYTES);
    free(expected);
    case_destroy(&p);
}

typedef void (*sgemm_fn)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                         const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

static sgemm_fn find_sgemm(void) {
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    void *library = dlopen("libopenblas.so.0", RTLD_NOW);
    void *symbol = library ? dlsym(library, "cblas_sgemm") : NULL;
    sgemm_fn fn;
    memcpy(&fn, &symbol, sizeof fn);
    return fn;
}

/* Weights enough to come from far memory at one row, as in a decode step. */
#define TIME_MATRICES 12
#define TIME_ROWS_MAX 512

struct timing {
    sgemm_fn sgemm;
    struct gemm m; /* of the first matrix */
    size_t rows;
};

/* One GEMM with weights number i, by a table or, without one, by OpenBLAS. */
static double time_once(const struct timing *t, const struct kernel_table *table, size_t i) {
    struct gemm m = t->m;
    m.panels += i * m.k * m.n;
    int k = (int)m.k, n = (int)m.n;
    double start = clock_seconds();
    if (table)
        table->gemm_f32(&m, 0, t->rows, 0, kernel_panels(m.n));
    else
        t->sgemm(101, 111, 112, (int)t->rows, n, k, 1.0f, m.x, k, m.panels, k, 0.0f, m.out, n);
    return clock_seconds() - start;
}

/* Best of some repeats, since the machine is shared. */
static double best_gflops(const struct timing *t, const struct kernel_table *table) {
    size_t repeats = 2 * TIME_MATRICES + 300 / t->rows;
    double best = INFINITY;
    for (size_t i = 0; i < repeats; i++) {
        double seconds = time_once(t, table, i % TIME_MATRICES);
        if (i >= TIME_MATRICES && seconds < best) best = seconds;
    }
    return 2e-9 * (double)t->rows * (double)t->m.k * (double)t->m.n / best;
}

static void print_shape(struct timing *t) {
    static const size_t sizes[] = {1, 4, 16, 128, TIME_ROWS_MAX};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    printf("%zu -> %zu, one thread, GFLOP/s\n%6s", t->m.k, t->m.n, "rows");
    for (size_t i = 1; i < count; i++) printf("%10s", tables[i]->name);
    printf("  openblas\n");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        t->rows = sizes[i];
        printf("%6zu", t->rows);
        for (size_t table = 1; table < count; table++) printf("%10.1f", best_gflops(t, tables[table]));
        if (t->sgemm) printf("%10.1f", best_gflops(t, NULL));
        printf("\n");
    }
}

static void time_shape(size_t k, size_t n) {
    struct random r = {8};
    struct error e;
    float *x = memory_aligned(TIME_ROWS_MAX * k, sizeof *x, "x", &e);
    float *out = memory_aligned(TIME_ROWS_MAX * n, sizeof *out, "out", &e);
    float *panels = memory_aligned(TIME_MATRICES * k * n, sizeof *panels, "panels", &e);
    if (x && out && panels) {
        random_fill(&r, x, TIME_ROWS_MAX * k);
        random_fill(&r, panels, TIME_MATRICES * k * n);
        struct gemm m = {
            .x = x, .x_stride = k, .panels = panels, .k = k, .n = n, .out = out, .out_stride = n};
        struct timing t = {.sgemm = find_sgemm(), .m = m};
        print_shape(&t);
    }
    free(x);
    free(out);
    free(panels);
}

static int print_times(void) {
    time_shape(768, 3072);
    time_shape(3072, 768);
    time_shape(8192, 768);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--time") == 0) return print_times();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_in_every_table),
        cmocka_unit_test(test_same_bits_about_tiles_of_the_table),
        cmocka_unit_test(test_same_bits_over_blocks),
        cmocka_unit_test(test_same_bits_for_long_sums),
        cmocka_unit_test(test_same_bits_for_any_tiling),
        cmocka_unit_test(test_residual_may_be_out),
        cmocka_unit_test(test_prefetch_is_not_read),
        cmocka_unit_test(test_nothing_without_rows_or_panels),
        cmocka_unit_test(test_scalar_against_double),
        cmocka_unit_test(test_each_sum_is_one_accumulator),
        cmocka_unit_test(test_epilogue_rows),
        cmocka_unit_test(test_reads_only_its_panels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
