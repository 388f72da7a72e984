/* Choice of a table, names of activations. */
#include "engine/kernel/cpu.h"
#include "tests/kernels/kernel_test.h"

static void test_best_table_is_chosen(void **state) {
    (void)state;
    struct error e;
    const struct kernel_table *tables[KERNEL_ISA_COUNT], *found = NULL;
    size_t count = kernel_available(tables);
    assert_in_range(count, 1, KERNEL_ISA_COUNT);
    assert_ptr_equal(tables[0], kernel_scalar());
    assert_ok(kernel_select(KERNEL_ISA_AUTO, &found, &e));
    assert_ptr_equal(found, tables[count - 1]);
}

static void test_each_table_can_be_forced(void **state) {
    (void)state;
    struct error e;
    const struct kernel_table *tables[KERNEL_ISA_COUNT], *found = NULL;
    size_t count = kernel_available(tables);
    for (size_t t = 0; t < count; t++) {
        assert_ok(kernel_select(tables[t]->isa, &found, &e));
        assert_ptr_equal(found, tables[t]);
        assert_string_equal(tables[t]->name, kernel_isa_name(tables[t]->isa));
    }
}

static void test_a_table_that_does_not_run_here_is_refused(void **state) {
    (void)state;
    struct error e;
    const struct kernel_table *tables[KERNEL_ISA_COUNT], *found = NULL;
    bool runs[KERNEL_ISA_COUNT] = {[KERNEL_ISA_AUTO] = true};
    size_t count = kernel_available(tables), refused = 0;
    for (size_t t = 0; t < count; t++) runs[tables[t]->isa] = true;
    for (enum kernel_isa isa = KERNEL_ISA_AUTO; isa < KERNEL_ISA_COUNT; isa++) {
        if (runs[isa]) continue;
        refused++;
        assert_int_equal(kernel_select(isa, &found, &e), STATUS_OPTION);
        assert_null(found);
        assert_string_equal(e.where, "isa");
        assert_non_null(strstr(e.text, kernel_isa_name(isa)));
        assert_non_null(strstr(e.text, "scalar"));
    }
    assert_true(refused > 0); /* those of the other architecture */
}

static void test_tables_are_complete(void **state) {
    (void)state;
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    for (size_t t = 0; t < count; t++) {
        const struct kernel_table *k = tables[t];
        assert_true(k->name && k->gemm_f32 && k->epilogue_rows && k->row_scales && k->scale_directions &&
                    k->normalize_rows && k->gate_rows && k->hadamard_rows && k->rotate && k->store_kv &&
                    k->attention && k->gemm_int8_groups && k->join_int8_groups && k->attention_chunk &&
                    k->attention_merge && k->argmax && k->exp_sum);
        assert_true(k->tile_rows[WEIGHT_TYPE_F32] != 0);
        for (enum weight_type type = WEIGHT_TYPE_BF16; type < WEIGHT_TYPE_COUNT; type++)
            assert_true(k->gemm_lowp[type] && k->convert_activations[type] && k->tile_rows[type]);
    }
}

/* They run, and say what they did; how fast is for the bench. */
static void test_peaks_count_their_operations(void **state) {
    (void)state;
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    for (size_t t = 0; t < count; t++)
        for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
            double one = tables[t]->peak[type](1);
            assert_true(one > 0);
            assert_true(tables[t]->peak[type](10) == 10 * one);
        }
}

/* Bits of the features that each row of the table needs. */
static unsigned needed_by(const char *isa) {
    static const struct {
        const char *isa;
        unsigned features;
    } rows[] = {
#define KERNEL_ISA(architecture, name, vectors, attention, bf16, int8, int4, features, preferred)            \
    {#name, features},
#include "engine/kernel/kernels.def"
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].isa, isa) == 0) return rows[i].features;
    fail_msg("'%s' has no row", isa);
    return 0;
}

static void test_features_are_those_of_the_best_set(void **state) {
    (void)state;
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    unsigned bits = needed_by(tables[kernel_available(tables) - 1]->name);
    char found[256], rest[256];
    kernel_features(found, sizeof found);
    size_t words = 0;
    memcpy(rest, found, sizeof rest);
    for (char *word = strtok(rest, " "); word; word = strtok(NULL, " ")) words++;
    assert_int_equal(words, __builtin_popcount(bits));
    assert_int_equal(strstr(found, "avx512_vnni") != NULL, (bits & CPU_AVX512_VNNI) != 0);
    assert_int_equal(strstr(found, "amx_bf16") != NULL, (bits & CPU_AMX_BF16) != 0);
    assert_int_equal(strstr(found, "asimddp") != NULL, (bits & CPU_ASIMDDP) != 0);
}

/* A table is there exactly where all features of its row are. */
static void test_tables_are_those_of_the_features(void **state) {
    (void)state;
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables), expected = 0;
#define KERNEL_ISA(architecture, name, vectors, attention, bf16, int8, int4, needed, preferred)              \
    expected += (cpu_features() & (needed)) == (needed);
#include "engine/kernel/kernels.def"
    assert_int_equal(count, expected);
    for (size_t t = 0; t < count; t++)
        assert_int_equal(cpu_features() & needed_by(tables[t]->name), needed_by(tables[t]->name));
}

static void test_feature_names_are_cut_to_size(void **state) {
    (void)state;
    char cut[4];
    cpu_feature_names(~0u, cut, sizeof cut);
    assert_in_range(strlen(cut), 0, 3);
    cpu_feature_names(0, cut, sizeof cut);
    assert_string_equal(cut, "");
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
        cmocka_unit_test(test_a_table_that_does_not_run_here_is_refused),
        cmocka_unit_test(test_tables_are_complete),
        cmocka_unit_test(test_peaks_count_their_operations),
        cmocka_unit_test(test_features_are_those_of_the_best_set),
        cmocka_unit_test(test_tables_are_those_of_the_features),
        cmocka_unit_test(test_feature_names_are_cut_to_size),
        cmocka_unit_test(test_activation_names),
        cmocka_unit_test(test_activation_names_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
