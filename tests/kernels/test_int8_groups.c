/* Groups of int8: a GEMM by some groups of k at a time, joined at last, has the bits of the whole, in every table; so have
 * groups that add nothing. */
#include "tests/kernels/gemm_scene.h"

/* Some groups at a time, the last first. */
static void run_by_groups(struct gemm_case *p, const struct kernel_table *table, size_t together) {
    const size_t groups = kernel_int8_groups(p->m.base.k);
    case_clear(p);
    case_convert(p, table);
    for (size_t row = 0; row < p->row_count; row++)
        for (size_t panel = 0; panel < kernel_panels(p->m.base.n); panel++) {
            struct buffer products = buffer_create(groups * KERNEL_PANEL, 0);
            for (size_t end = groups, first; end > 0; end = first) {
                first = end > together ? end - together : 0;
                table->gemm_int8_groups(&p->m, row, panel, first, end, products.data + first * KERNEL_PANEL);
            }
            table->join_int8_groups(&p->m, row, panel, products.data);
            buffer_check(&products);
            buffer_destroy(&products);
        }
    case_check_padding(p);
}

static void test_same_bits_by_groups_of_int8(void **state) {
    (void)state;
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    const size_t count = kernel_available(tables);
    struct random r = {16};
    for (int i = 0; i < 40; i += TEST_SHARE ? 3 : 1) {
        struct gemm_case p =
            case_create(&r, WEIGHT_TYPE_INT8, random_between(&r, 1, 2),
                        random_between(&r, 1, i % 4 ? 1100 : 4200), random_between(&r, 1, 150), i % 3 == 0);
        const size_t together = random_between(&r, 1, kernel_int8_groups(p.m.base.k));
        float *expected = case_run(&p, kernel_scalar());
        for (size_t t = 0; t < count; t++) {
            run_by_groups(&p, tables[t], together);
            assert_same_bits(expected, p.out.data, p.out.count, "%s by groups", tables[t]->name);
        }
        free(expected);
        case_destroy(&p);
    }
}

/* The first group's products are below what a float has, the others are 0: no table leaves another sign of zero. */
static void test_groups_that_vanish(void **state) {
    (void)state;
    const size_t rows = 20, k = 600, n = 100; /* rows for tiles; whole panels, and a part of one */
    struct random r = {17};
    struct gemm_case p = case_create(&r, WEIGHT_TYPE_INT8, rows, k, n, false);
    case_strip(&p);
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < k; i++)
            p.x.data[row * p.rows.x_stride + i] *= i < kernel_int8_group_k(k) ? 1e-36f : 0.0f;
    for (size_t i = 0; i < n * k; i++) p.w[i] *= 1e-12;
    panels_pack(p.type, p.w, 0, n, k, p.panels.data);
    compare_tables(&p);
    case_destroy(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_by_groups_of_int8),
        cmocka_unit_test(test_groups_that_vanish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
