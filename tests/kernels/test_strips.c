/* Strips of panels that are wider than the sixteen columns which compare_tables() takes: the same bits. */
#include "tests/kernels/gemm_scene.h"

static void compare_strips(struct gemm_case *p) {
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    const size_t count = kernel_available(tables);
    float *expected = case_run(p, kernel_scalar());
    for (size_t t = 0; t < count; t++) {
        case_convert(p, tables[t]);
        float *found = case_run_strips(p, tables[t], 2 * KERNEL_LANES);
        assert_same_bits(expected, found, p->out.count, "%s in %s, %zu rows", weight_type_name(p->type),
                         tables[t]->name, p->row_count);
        free(found);
    }
    free(expected);
}

static void test_same_bits_in_wider_strips(void **state) {
    (void)state;
    static const size_t rows[] = {1, 9, 17, 40};
    struct random r = {17};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
            struct gemm_case p = case_create(&r, type, rows[i], 577, 100, false);
            compare_strips(&p);
            case_destroy(&p);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits_in_wider_strips)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
