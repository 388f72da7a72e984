/* Activations as GEMMs of low-precision weights read them. What the numbers are is tested with these (test_lowp.c). */
#include "tests/kernels/gemm_scene.h"

/* Converted by columns, the last part first, rows are what they are at once. */
static void test_conversion_by_columns(void **state) {
    (void)state;
    struct random r = {12};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    const size_t ks[] = {2 * KERNEL_INT8_GROUP, 1600, 1023, 576};
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
        for (enum weight_type type = WEIGHT_TYPE_BF16; type < WEIGHT_TYPE_COUNT; type++) {
            const size_t step = kernel_conversion_step(type, ks[i]);
            if (step == 0) continue;
            struct gemm_case p = case_create(&r, type, 3, ks[i], 50, false);
            const size_t bytes = p.converted.count * sizeof(float);
            unsigned char *expected = malloc(bytes);
            assert_non_null(expected);
            for (size_t t = 0; t < count; t++) {
                case_convert(&p, tables[t]);
                memcpy(expected, p.converted.data, bytes);
                memset(p.converted.data, 0x77, bytes);
                for (size_t end = ks[i], first; end > 0; end = first) {
                    const size_t steps = random_between(&r, 1, 3);
                    first = (end - 1) / step * step;
                    first -= first < (steps - 1) * step ? first : (steps - 1) * step;
                    p.rows.first = first;
                    p.rows.end = end;
                    tables[t]->convert_activations[type](&p.rows, 0, p.row_count);
                }
                p.rows.first = p.rows.end = 0;
                assert_memory_equal(p.converted.data, expected, bytes);
                buffer_check(&p.converted);
            }
            free(expected);
            case_destroy(&p);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversion_by_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
