/* Choice of a table, names of activations. */
#include "tests/kernels/kernel_test.h"

static void test_best_table_is_chosen(void **state) {
    (void)state;
    struct error e;
    const struct kernel_table *tables[8], *found = NULL;
    size_t count = kernel_available(tables);
    assert_in_range(count, 1, 8);
    assert_ptr_equal(tables[0], kernel_scalar());
    assert_ok(kernel_select(NULL, &found, &e));
    assert_ptr_equal(found, tables[count - 1]);
    assert_ok(kernel_select("auto", &found, &e));
    assert_ptr_equal(found, tables[count - 1]);
}

static void test_each_table_can_be_forced(void **state) {
    (void)state;
    struct error e;
    const struct kernel_table *tables[8], *found = NULL;
    size_t count = kernel_available(tables);
    for (size_t t = 0; t < count; t++) {
        assert_ok(kernel_select(tables[t]->name, &found, &e));
        assert_ptr_equal(found, tables[t]);
    }
}

static void test_unknown_table_is_refused(void **state) {
    (void)state;
    struct error e;
    const struct kernel_table *found = NULL;
    assert_int_equal(kernel_select("altivec", &found, &e), STATUS_INVALID_ARGUMENT);
    assert_null(found);
    assert_non_null(strstr(e.text, "altivec"));
    assert_non_null(strstr(e.text, "scalar"));
    assert_int_equal(kernel_select("", &found, &e), STATUS_INVALID_ARGUMENT);
}

static void test_tables_are_complete(void **state) {
    (void)state;
    const struct kernel_table *tables[8];
    size_t count = kernel_available(tables);
    for (size_t t = 0; t < count; t++) {
        const struct kernel_table *k = tables[t];
        assert_true(k->name && k->gemm_f32 && k->epilogue_rows && k->row_scales && k->normalize_rows &&
                    k->gate_rows && k->rotate && k->store_kv && k->attention && k->argmax && k->exp_sum);
    }
}

static void test_features_name_the_best_set(void **state) {
    (void)state;
    static const struct {
        const char *table, *feature;
    } last[] = {{"neon", "asimddp"},
                {"avx2", "f16c"},
                {"avxvnni", "avx_vnni"},
                {"avx512", "avx512vl"},
                {"avx512vnni", "avx512_vnni"},
                {"avx512bf16", "avx512_bf16"},
                {"amx", "amx_bf16"}};
    const struct kernel_table *tables[8];
    size_t count = kernel_available(tables);
    const char *best = tables[count - 1]->name, *features = kernel_features(), *expected = NULL;
    for (size_t i = 0; i < sizeof last / sizeof *last; i++)
        if (strcmp(last[i].table, best) == 0) expected = last[i].feature;
    if (count == 1)
        assert_string_equal(features, "");
    else
        assert_true(expected && strstr(features, expected));
}

static void test_activation_names(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum activation activation;
    } cases[] = {{"gelu", ACTIVATION_GELU},           {"gelu_new", ACTIVATION_GELU_TANH},
                 {"gelu_fast", ACTIVATION_GELU_TANH}, {"gelu_pytorch_tanh", ACTIVATION_GELU_TANH},
                 {"gelu_python", ACTIVATION_GELU},    {"quick_gelu", ACTIVATION_GELU_QUICK},
                 {"relu", ACTIVATION_RELU},           {"relu2", ACTIVATION_RELU_SQUARED},
                 {"silu", ACTIVATION_SILU},           {"swish", ACTIVATION_SILU}};
    enum activation found;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(activation_from_name(cases[i].name, &found));
        assert_int_equal(found, cases[i].activation);
    }
    assert_false(activation_from_name("gelu_10", &found));
    assert_false(activation_from_name("", &found));
}

static void test_activation_names_are_read_back(void **state) {
    (void)state;
    for (int i = 0; i < ACTIVATION_COUNT; i++) {
        enum activation found;
        assert_true(activation_from_name(activation_name((enum activation)i), &found));
        assert_int_equal(found, i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_best_table_is_chosen),
        cmocka_unit_test(test_each_table_can_be_forced),
        cmocka_unit_test(test_unknown_table_is_refused),
        cmocka_unit_test(test_tables_are_complete),
        cmocka_unit_test(test_features_name_the_best_set),
        cmocka_unit_test(test_activation_names),
        cmocka_unit_test(test_activation_names_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
