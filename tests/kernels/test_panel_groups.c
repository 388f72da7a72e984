/* GEMMs of low-precision weights by more panels than a kernel takes together: the same bits as by single panels. */
#include "tests/kernels/gemm_scene.h"

/* The same by single panels; the caller frees the copy of the output. */
static float *run_panels(struct gemm_case *p, const struct kernel_table *table) {
    case_clear(p);
    case_convert(p, table);
    for (size_t panel = 0; panel < kernel_panels(p->m.base.n); panel++)
        case_gemm(p, table, 0, p->row_count, panel, 1);
    case_check_padding(p);
    float *copy = malloc(p->out.count * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, p->out.data, p->out.count * sizeof *copy);
    return copy;
}

/* AMX has sums of 12 panels by all rows of a chunk where k is long, and these go round: two such groups and a part of a third,
 * whose last panel is not whole. With an activation rows of int8 go through the epilogue later. */
static void test_same_bits_as_by_single_panels(void **state) {
    (void)state;
    enum { ROWS = 256, K = 2113, N = 2 * 12 * KERNEL_PANEL + 20 };
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    const size_t count = kernel_available(tables);
    struct random r = {22};
    for (enum weight_type type = WEIGHT_TYPE_BF16; type < WEIGHT_TYPE_COUNT; type++) {
        struct gemm_case p = case_create(&r, type, ROWS, K, N, false);
        for (size_t t = count > 1 ? 1 : 0; t < count; t++)
            for (int activates = 0; activates < 2; activates++) {
                p.m.base.activation = activates ? ACTIVATION_RELU : ACTIVATION_NONE;
                float *expected = run_panels(&p, tables[t]), *found = case_run(&p, tables[t]);
                assert_same_bits(expected, found, p.out.count, "%s in %s, activation %d",
                                 weight_type_name(type), tables[t]->name, activates);
                free(expected);
                free(found);
            }
        case_destroy(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits_as_by_single_panels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
