/* GEMMs of low-precision weights: every table against the scalar one bit by bit, and the scalar one
 * against the contract of kernel.h, worked out here from the doubles that were packed.
 * `test_kernels_lowp --time` prints the rate of every table and type instead. */
#include "tests/kernels/gemm_scene.h"

#include "engine/base/clock.h"

/* Of a walk over shapes: in part every third, as what is looked for there is in no number of rows alone. */
enum { EVERY = TEST_SHARE ? 3 : 1, EVERY_PART = TEST_WHOLE ? 1 : TEST_SHARE ? 3 : 2 };

#define EACH_TYPE for (enum weight_type type = WEIGHT_TYPE_BF16; type < WEIGHT_TYPE_COUNT; type++)

static void test_same_bits_in_every_table(void **state) {
    (void)state;
    struct random r = {1};
    for (int i = 0; i < 120; i += EVERY) EACH_TYPE {
            struct gemm_case p =
                case_create(&r, type, random_between(&r, 1, i / EVERY % 8 ? 19 : 150),
                            random_between(&r, 1, 200), random_between(&r, 1, 150), i / EVERY % 3 == 0);
            compare_tables(&p);
            case_destroy(&p);
        }
}

/* Of the shapes of a list: each in every type, or, in part, in one, the next in another. */
static void compare_shape(struct random *r, size_t rows, size_t k, size_t n, const void *prefetch) {
    static size_t shapes;
    const enum weight_type one = WEIGHT_TYPE_BF16 + shapes++ % (WEIGHT_TYPE_COUNT - WEIGHT_TYPE_BF16);
    EACH_TYPE {
        if (TEST_SHARE && type != one) continue;
        struct gemm_case p = case_create(r, type, rows, k, n, false);
        p.m.base.prefetch = prefetch;
        compare_tables(&p);
        case_destroy(&p);
    }
}

/* Numbers of rows about those that tiles, passes and chunks have, also over several slices of k, and with
 * a prefetch hint, which is never read: it may be anywhere. */
static void test_same_bits_about_tiles(void **state) {
    (void)state;
    static const size_t rows[] = {4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65};
    static const size_t larger[][3] = {{33, 1100, 100}, {48, 2113, 50}, {65, 1025, 150},
                                       {145, 577, 50},  {511, 70, 50},  {512, 40, 100},
                                       {513, 130, 50},  {545, 33, 100}, {256, 300, 300}};
    const void *const prefetch = (const void *)(uintptr_t)KERNEL_ALIGN;
    struct random r = {10};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        compare_shape(&r, rows[i], 300, 150, i % 3 ? prefetch : NULL);
        compare_shape(&r, rows[i], 577, 48, i % 3 ? NULL : prefetch);
    }
    for (size_t i = 0; i < sizeof larger / sizeof *larger; i++)
        compare_shape(&r, larger[i][0], larger[i][1], larger[i][2], i % 2 ? prefetch : NULL);
}

/* Sums that are stored between parts of k: lengths about those of parts and slices with every kind of rest,
 * rows of one tile and of several, more panels than a group has. */
static void test_same_bits_over_parts_of_k(void **state) {
    (void)state;
    static const size_t lengths[] = {511, 513, 960, 1024, 1025, 1088, 1984, 2048, 2049, 2112, 3137};
    static const size_t rows[] = {9, 17, 25, 40};
    static const size_t larger[][3] = {{40, 4200, 290}, {130, 2113, 200}, {257, 2113, 100}};
    struct random r = {15};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++)
            if ((i + j) % EVERY_PART == 0) compare_shape(&r, rows[j], lengths[i], 100, NULL);
    for (size_t i = 0; i < sizeof larger / sizeof *larger; i++)
        compare_shape(&r, larger[i][0], larger[i][1], TEST_SHARE ? 50 : larger[i][2], NULL);
}

/* The same about the tiles that kernels.def names, whatever sets it has. */
static void test_same_bits_about_tiles_of_the_table(void **state) {
    (void)state;
    struct random r = {14};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    const size_t count = kernel_available(tables);
    for (size_t t = 1; t < count; t++) EACH_TYPE {
            const size_t tile = tables[t]->tile_rows[type];
            const size_t rows[] = {tile > 1 ? tile - 1 : 1, tile, tile + 1, 2 * tile + 1};
            for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct gemm_case p = case_create(&r, type, rows[i], 161, 100, false);
                compare_tables(&p);
                case_destroy(&p);
            }
        }
}

/* Groups of all widths and about all centres: int4 has scales and offsets of all sizes. */
static void test_same_bits_for_any_group(void **state) {
    (void)state;
    struct random r = {12};
    for (int i = 0; i < 40; i++) EACH_TYPE {
            const size_t k = random_between(&r, 100, 400), n = random_between(&r, 1, 100);
            struct gemm_case p = case_create(&r, type, i % 2 ? 3 : 21, k, n, false);
            double width = 1, centre = 0;
            for (size_t w = 0; w < n * k; w++) {
                if (w % KERNEL_INT4_GROUP == 0) {
                    width = ldexp(1, -(int)random_below(&r, 8));
                    centre = (1 - width) * (double)random_float(&r);
                }
                p.w[w] = centre + width * p.w[w];
            }
            panels_pack(type, p.w, 0, n, k, p.panels.data);
            compare_tables(&p);
            case_destroy(&p);
        }
}

static void test_nothing_without_rows_or_panels(void **state) {
    (void)state;
    struct random r = {11};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    EACH_TYPE {
        struct gemm_case p = case_create(&r, type, 20, 70, 100, false);
        for (size_t t = 0; t < count; t++) {
            case_convert(&p, tables[t]);
            case_clear(&p);
            tables[t]->gemm_lowp[type](&p.m, 1, 0, 0, 2);
            tables[t]->gemm_lowp[type](&p.m, 0, 20, 2, 0);
            for (size_t i = 0; i < p.out.count; i++) assert_true(p.out.data[i] == OUT_MARK);
        }
        case_destroy(&p);
    }
}

static void test_same_bits_for_long_sums(void **state) {
    (void)state;
    struct random r = {2};
    for (size_t rows = 1; rows <= 9; rows += 4) EACH_TYPE {
            struct gemm_case p = case_create(&r, type, rows, 5000 + rows, 49, false);
            compare_tables(&p);
            case_destroy(&p);
        }
}

/* All numbers at the ends of their range, of one sign or of both: nothing saturates. */
static void test_largest_sums(void **state) {
    (void)state;
    const size_t rows = 20; /* some of every way that a table goes */
    struct random r = {3};
    for (int signs = 0; signs < 4; signs++) EACH_TYPE {
            struct gemm_case p = case_create(&r, type, rows, 1000, 50, false);
            for (size_t i = 0; i < p.x.count; i++) p.x.data[i] = signs & 1 ? -3.0f : 3.0f;
            for (size_t i = 0; i < 50 * 1000; i++) p.w[i] = signs & 2 && i % 2 ? -0.5 : 0.5;
            panels_pack(type, p.w, 0, 50, 1000, p.panels.data);
            case_strip(&p);
            compare_tables(&p);
            float *found = case_run(&p, kernel_scalar());
            double expected = signs & 2 ? 0 : signs & 1 ? -1500 : 1500;
            for (size_t row = 0; row < rows; row++)
                for (size_t n = 0; n < 50; n++)
                    assert_true(fabs((double)found[row * p.m.base.out_stride + n] - expected) <= 1e-2 * 1500);
            free(found);
            case_destroy(&p);
        }
}

/* ends: only the largest and the smallest. */
static unsigned char any_byte(struct random *r, bool ends) {
    return (unsigned char)(ends ? random_below(r, 2) * 255 : random_below(r, 256));
}

/* Every scale and offset that keep weights within 127. */
static void fill_panel_int4(struct random *r, bool ends, size_t padded, unsigned char *panel) {
    int8_t *groups = (int8_t *)panel + padded / 2 * KERNEL_PANEL;
    for (size_t i = 0; i < padded / KERNEL_INT4_GROUP * KERNEL_PANEL; i++, groups += 2) {
        const int scale = ends ? (int)random_below(r, 2) * 16 : (int)random_below(r, 17);
        const int least = 8 * scale - 127, most = 127 - 7 * scale;
        groups[0] = (int8_t)scale;
        groups[1] = (int8_t)(ends ? random_below(r, 2) ? least : most
                                  : least + (int)random_below(r, (uint64_t)(most - least + 1)));
    }
    for (size_t b = 0; b < padded / 2 * KERNEL_PANEL; b++) panel[b] = any_byte(r, ends);
}

static void fill_panel_int8(struct random *r, bool ends, size_t padded, unsigned char *panel) {
    for (size_t b = 0; b < padded * KERNEL_PANEL; b++) panel[b] = any_byte(r, ends);
}

/* Whatever bytes a panel of integers has, also such as no weight is packed to, by the largest activations. */
static void test_any_bytes(void **state) {
    (void)state;
    static const size_t rows[] = {1, 4, 9, 17, 20};
    const size_t k = 600, padded = kernel_padded_k(k);
    struct random r = {16};
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++)
        for (int ends = 0; ends < 2; ends++) {
            const enum weight_type type = i % 2 ? WEIGHT_TYPE_INT4 : WEIGHT_TYPE_INT8;
            struct gemm_case p = case_create(&r, type, rows[i / 2], k, 96, false);
            unsigned char *panels = (unsigned char *)p.panels.data;
            case_strip(&p);
            for (size_t x = 0; x < p.x.count; x++) p.x.data[x] = random_below(&r, 2) ? 1.0f : -1.0f;
            for (size_t panel = 0; panel < 2; panel++, panels += kernel_panel_bytes(type, k))
                (type == WEIGHT_TYPE_INT4 ? fill_panel_int4 : fill_panel_int8)(&r, ends, padded, panels);
            compare_tables(&p);
            case_destroy(&p);
        }
}

/* The largest sums of a group that int4 has: levels of -8 with the largest scale. */
static void test_largest_groups(void **state) {
    (void)state;
    enum { ROWS = 20, K = 1024, N = 48 };
    struct random r = {13};
    for (int sign = -1; sign <= 1; sign += 2) {
        struct gemm_case p = case_create(&r, WEIGHT_TYPE_INT4, ROWS, K, N, false);
        unsigned char *panel = (unsigned char *)p.panels.data;
        case_strip(&p);
        for (size_t i = 0; i < p.x.count; i++) p.x.data[i] = (float)sign * 3;
        memset(panel, 0, K / 2 * N);
        for (size_t i = 0; i < K / KERNEL_INT4_GROUP * N; i++) {
            panel[K / 2 * N + 2 * i] = 16;
            panel[K / 2 * N + 2 * i + 1] = 1;
        }
        for (size_t n = 0; n < N; n++)
            ((float *)(void *)(panel + K / 2 * N + K / KERNEL_INT4_GROUP * N * 2))[n] = 1;
        compare_tables(&p);
        float *found = case_run(&p, kernel_scalar());
        const float expected = (float)(-sign * 127 * 127 * K) * (3.0f / 127.0f);
        for (size_t row = 0; row < ROWS; row++)
            for (size_t n = 0; n < N; n++)
                assert_same_bits(&expected, found + row * p.m.base.out_stride + n, 1, "sign %d", sign);
        free(found);
        case_destroy(&p);
    }
}

/* Any split into tiles, one row alone or among 60: the same bits. */
static void test_same_bits_for_any_tiling(void **state) {
    (void)state;
    struct random r = {4};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    for (size_t t = 0; t < count; t++) EACH_TYPE {
            struct gemm_case p = case_create(&r, type, 60, 77, 200, false);
            float *expected = case_run(&p, tables[t]);
            for (int repeat = 0; repeat < 5; repeat++) {
                case_clear(&p);
                for (size_t row = 0, rows; row < p.row_count; row += rows) {
                    rows = repeat == 0 ? 1 : random_between(&r, 1, 20);
                    if (rows > p.row_count - row) rows = p.row_count - row;
                    tables[t]->convert_activations[type](&p.rows, row, rows);
                    for (size_t panel = kernel_panels(p.m.base.n); panel-- > 0;)
                        tables[t]->gemm_lowp[type](&p.m, row, rows, panel, 1);
                }
                case_check_padding(&p);
                assert_same_bits(expected, p.out.data, p.out.count, "%s in %s in tiles",
                                 weight_type_name(type), tables[t]->name);
            }
            free(expected);
            case_destroy(&p);
        }
}

/* ---- the contract, from the doubles ---- */

static float bf16_nearest(double value) {
    if (fabs(value) < 0x1p-56) return 0;
    int exponent;
    double fraction = frexp(value, &exponent);
    return (float)ldexp(rint(fraction * 256), exponent - 8);
}

static float expected_bf16(const struct gemm_case *p, const float *x, const double *w) {
    float sum = 0;
    for (size_t block = 0; block < p->m.base.k; block += KERNEL_BF16_BLOCK) {
        float even_odd[2] = {0, 0};
        for (size_t k = block; k < block + KERNEL_BF16_BLOCK && k < p->m.base.k; k++)
            even_odd[k % 2] = fmaf(bf16_nearest((double)x[k]), bf16_nearest(w[k]), even_odd[k % 2]);
        sum += even_odd[0] + even_odd[1];
    }
    return sum;
}

static double largest_of(const double *w, size_t count) {
    double largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs(w[i]));
    return largest;
}

/* Activations as integers; returns their scale. */
static float quantize(const float *x, size_t k, double *q) {
    float largest = 0;
    for (size_t i = 0; i < k; i++) largest = fmaxf(largest, fabsf(x[i]));
    for (size_t i = 0; i < k; i++) q[i] = rint((double)x[i] * (double)(127.0f / largest));
    return largest / 127.0f;
}

static float expected_int8(const struct gemm_case *p, const float *x, const double *w) {
    const size_t most = kernel_int8_group_k(p->m.base.k);
    double q[KERNEL_INT8_GROUP];
    float total = 0;
    for (size_t first = 0, count; first < p->m.base.k; first += count) {
        count = p->m.base.k - first < most ? p->m.base.k - first : most;
        const float scale = quantize(x + first, count, q);
        const float weight_scale = (float)(largest_of(w + first, count) / 127);
        double sum = 0;
        for (size_t k = 0; k < count; k++) sum += q[k] * rint(w[first + k] * (1 / (double)weight_scale));
        total = fmaf((float)sum * weight_scale, scale, total);
    }
    return total;
}

/* Scale and offset of a group are the packer's choice: they are read from the panel. */
struct group_scale {
    double m, c;
};

static struct group_scale group_scale_of(const struct gemm_case *p, size_t n, size_t group) {
    const size_t padded = (p->m.base.k + 63) / 64 * 64;
    const int8_t *steps = (const int8_t *)p->m.panels +
                          n / KERNEL_PANEL * kernel_panel_bytes(WEIGHT_TYPE_INT4, p->m.base.k) +
                          padded / 2 * KERNEL_PANEL + (group * KERNEL_PANEL + n % KERNEL_PANEL) * 2;
    return (struct group_scale){.m = steps[0], .c = steps[1]};
}

/* The packer computes in float. */
static float expected_int4(const struct gemm_case *p, const float *x, const double *w, size_t n) {
    double q[400], sum = 0;
    const float scale = quantize(x, p->m.base.k, q);
    const float weight_scale = (float)(largest_of(w, p->m.base.k) / 127);
    for (size_t k = 0; k < p->m.base.k; k++) {
        const struct group_scale group = group_scale_of(p, n, k / KERNEL_INT4_GROUP);
        const float value = (float)(w[k] * (1 / (double)weight_scale));
        const float level = (value - (float)group.c) * (1 / (float)group.m);
        assert_true(group.m >= 1 && group.m <= 16);
        assert_true(fabs(group.c - 0.5 * group.m) + 7.5 * group.m <= 127);
        sum += q[k] * (group.m * rint(fmin(7, fmax(-8, (double)level))) + group.c);
    }
    return (float)sum * weight_scale * scale;
}

static void test_scalar_is_the_contract(void **state) {
    (void)state;
    struct random r = {5};
    static const size_t lengths[] = {1, 31, 32, 33, 63, 64, 65, 128, 256, 257, 300, 399};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) EACH_TYPE {
            struct gemm_case p = case_create(&r, type, 3, lengths[i], 50, false);
            case_strip(&p);
            if (type == WEIGHT_TYPE_BF16) p.x.data[0] = 1e-17f, p.w[0] = 1e-18; /* are 0 */
            panels_pack(type, p.w, 0, 50, lengths[i], p.panels.data);
            float *found = case_run(&p, kernel_scalar());
            for (size_t row = 0; row < p.row_count; row++)
                for (size_t n = 0; n < 50; n++) {
                    const float *x = p.x.data + row * p.rows.x_stride;
                    const double *w = p.w + n * lengths[i];
                    float expected = type == WEIGHT_TYPE_BF16   ? expected_bf16(&p, x, w)
                                     : type == WEIGHT_TYPE_INT8 ? expected_int8(&p, x, w)
                                                                : expected_int4(&p, x, w, n);
                    assert_same_bits(&expected, found + row * p.m.base.out_stride + n, 1,
                                     "%s, k %zu, row %zu, column %zu", weight_type_name(type), lengths[i],
                                     row, n);
                }
            free(found);
            case_destroy(&p);
        }
}

/* Root of the mean squared error against the exact product, in parts of its deviation. */
static double relative_error(struct gemm_case *p) {
    float *found = case_run(p, kernel_scalar());
    double error = 0, power = 0;
    for (size_t row = 0; row < p->row_count; row++)
        for (size_t n = 0; n < p->m.base.n; n++) {
            double exact = 0;
            for (size_t k = 0; k < p->m.base.k; k++)
                exact += (double)p->x.data[row * p->rows.x_stride + k] *
                         (p->rows.smoothing ? (double)p->smoothing.data[k] : 1) * p->w[n * p->m.base.k + k];
            double difference = (double)found[row * p->m.base.out_stride + n] - exact;
            error += difference * difference;
            power += exact * exact;
        }
    free(found);
    return sqrt(error / power);
}

static void test_errors_are_those_of_the_width(void **state) {
    (void)state;
    static const double most[] = {
        [WEIGHT_TYPE_BF16] = 4e-3, [WEIGHT_TYPE_INT8] = 8e-3, [WEIGHT_TYPE_INT4] = 0.08};
    struct random r = {6};
    EACH_TYPE {
        struct gemm_case p = case_create(&r, type, 20, 777, 100, false);
        case_strip(&p);
        double error = relative_error(&p);
        if (!(error <= most[type])) fail_msg("%s: %g", weight_type_name(type), error);
        case_destroy(&p);
    }
}

/* A channel that is a hundred times the others, with weights a hundredth: with the smoothing scale that evens
 * them out the error is that of ordinary channels, without it far larger. */
static void test_smoothing_tames_an_outlier(void **state) {
    (void)state;
    struct random r = {7};
    struct gemm_case p = case_create(&r, WEIGHT_TYPE_INT8, 20, 256, 100, false);
    case_strip(&p);
    for (size_t row = 0; row < p.row_count; row++) p.x.data[row * p.rows.x_stride + 9] *= 100;
    for (size_t n = 0; n < 100; n++) p.w[n * 256 + 9] /= 100;
    panels_pack(p.type, p.w, 0, 100, 256, p.panels.data);
    double without = relative_error(&p);
    for (size_t k = 0; k < 256; k++) p.smoothing.data[k] = k == 9 ? 0.01f : 1.0f;
    for (size_t n = 0; n < 100; n++) p.w[n * 256 + 9] *= 100;
    panels_pack(p.type, p.w, 0, 100, 256, p.panels.data);
    p.rows.smoothing = p.smoothing.data;
    double with = relative_error(&p);
    assert_true(with < 1e-2);
    assert_true(without > 10 * with);
    case_destroy(&p);
}

/* What is not finite gives NaN, in its own row or column alone; zeros give zeros. */
static void test_not_finite(void **state) {
    (void)state;
    struct random r = {8};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    for (size_t t = 0; t < count; t++) EACH_TYPE {
            struct gemm_case p = case_create(&r, type, 3, 70, 50, false);
            case_strip(&p);
            p.x.data[p.rows.x_stride + 5] = random_below(&r, 2) ? NAN : INFINITY;
            for (size_t k = 0; k < 70; k++) p.x.data[2 * p.rows.x_stride + k] = 0;
            p.w[4 * 70 + 3] = NAN;
            panels_pack(type, p.w, 0, 50, 70, p.panels.data);
            float *found = case_run(&p, tables[t]);
            for (size_t n = 0; n < 50; n++) {
                const float *column = found + n;
                size_t stride = p.m.base.out_stride;
                assert_true(isnan(column[0]) == (n == 4));
                assert_false(isfinite(column[stride]));
                assert_true(n == 4 ? isnan(column[2 * stride]) : column[2 * stride] == 0);
            }
            free(found);
            case_destroy(&p);
        }
}

/* ---- speed ---- */

static double time_gemm(struct gemm_case *p, const struct kernel_table *table) {
    double best = INFINITY;
    for (int i = 0; i < 5; i++) {
        double start = clock_seconds();
        if (p->type != WEIGHT_TYPE_F32) table->convert_activations[p->type](&p->rows, 0, p->row_count);
        case_gemm(p, table, 0, p->row_count, 0, kernel_panels(p->m.base.n));
        best = fmin(best, clock_seconds() - start);
    }
    return 2e-9 * (double)(p->row_count * p->m.base.k * p->m.base.n) / best;
}

static void print_speeds(void) {
    static const size_t row_counts[] = {1, 4, 8, 16, 64, 128};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    struct random r = {9};
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++)
        for (size_t t = 1; t < count; t++) {
            printf("%-5s %-11s GOP/s at", weight_type_name(type), tables[t]->name);
            for (size_t i = 0; i < sizeof row_counts / sizeof *row_counts; i++) {
                struct gemm_case p = case_create(&r, type, row_counts[i], 768, 3072, false);
                case_strip(&p);
                printf("  %zu: %.0f", row_counts[i], time_gemm(&p, tables[t]));
                fflush(stdout);
                case_destroy(&p);
            }
            putchar('\n');
        }
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--time") == 0) {
        print_speeds();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_in_every_table),
        cmocka_unit_test(test_same_bits_about_tiles),
        cmocka_unit_test(test_same_bits_over_parts_of_k),
        cmocka_unit_test(test_same_bits_about_tiles_of_the_table),
        cmocka_unit_test(test_same_bits_for_any_group),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_largest_groups),
        cmocka_unit_test(test_nothing_without_rows_or_panels),
        cmocka_unit_test(test_same_bits_for_long_sums),
        cmocka_unit_test(test_largest_sums),
        cmocka_unit_test(test_same_bits_for_any_tiling),
        cmocka_unit_test(test_scalar_is_the_contract),
        cmocka_unit_test(test_errors_are_those_of_the_width),
        cmocka_unit_test(test_smoothing_tames_an_outlier),
        cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
