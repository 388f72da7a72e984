/* Every operation of every table that runs here is timed, each table as often as any other. */
#include "engine/kernel/kernel.h"
#include "engine/tools/tools.h"
#include "tests/support/test_support.h"

static void test_every_table_is_timed(void **state) {
    (void)state;
    struct error e;
    struct bench_kernels *b;
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    const size_t isas = kernel_available(tables);
    assert_ok(bench_kernels_open(KERNEL_ISA_AUTO, &b, &e));
    assert_int_equal(bench_kernels_isas(b), isas);
    assert_int_equal(bench_kernels_count(b) % isas, 0);
    for (size_t i = 0; i < bench_kernels_count(b); i++) {
        struct bench_kernel line;
        bench_kernels_at(b, i, &line);
        assert_string_equal(line.isa, tables[i % isas]->name);
        assert_true(line.rows > 0 && *line.operation && *line.type);
        double flops = 0;
        for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) flops += line.flops[type];
        assert_true((line.bytes > 0) == (flops > 0));
    }
    bench_kernels_close(b);
}

/* Of large blocks of rows the scalar kernels would take long. */
static void test_each_operation_runs(void **state) {
    (void)state;
    struct error e;
    struct bench_kernels *b;
    assert_ok(bench_kernels_open(KERNEL_ISA_scalar, &b, &e));
    assert_int_equal(bench_kernels_isas(b), 1);
    size_t ran = 0;
    for (size_t i = 0; i < bench_kernels_count(b); i++) {
        struct bench_kernel line;
        double seconds = 0;
        bench_kernels_at(b, i, &line);
        if (line.rows > 16 || (line.rows > 1 && strcmp(line.operation, "gemm") == 0)) continue;
        assert_ok(bench_kernels_run(b, i, &seconds, &e));
        assert_true(seconds > 0);
        ran++;
    }
    assert_in_range(ran, 12, bench_kernels_count(b));
    bench_kernels_close(b);
}

static void test_a_foreign_set_is_refused(void **state) {
    (void)state;
    struct error e;
    struct bench_kernels *b;
#if defined(__x86_64__)
    const enum kernel_isa foreign = KERNEL_ISA_neon;
#else
    const enum kernel_isa foreign = KERNEL_ISA_avx2;
#endif
    assert_int_equal(bench_kernels_open(foreign, &b, &e), STATUS_OPTION);
    assert_null(b);
    assert_string_equal(e.where, "isa");
    assert_non_null(strstr(e.text, kernel_isa_name(foreign)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_table_is_timed),
        cmocka_unit_test(test_each_operation_runs),
        cmocka_unit_test(test_a_foreign_set_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
