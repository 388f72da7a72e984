/* A model's weights once more, for drafts: what has them, and that they are the model's. */
#include "engine/loaded/second_weights.h"

#include "tests/support/test_support.h"

static struct workers *workers;

static int start_workers(void **state) {
    (void)state;
    struct error e;
    return workers_create(2, &workers, &e) != STATUS_OK;
}

static int stop_workers(void **state) {
    (void)state;
    workers_destroy(workers);
    return 0;
}

static void load(struct loaded_model *m, const char *path, enum weight_type weights) {
    struct error e;
    const struct loaded_model_options options = {
        .model = path, .form = NORM_FORM_CRMSNORM, .weights = weights, .any_form = true, .any_weights = true};
    assert_ok(loaded_model_init(m, &options, workers, &e));
}

static void refused(bool is_file, enum weight_type weights, const char *words) {
    struct error e;
    assert_int_equal(second_weights_check(is_file, weights, &e), STATUS_OPTION);
    assert_string_equal(e.where, "speculate");
    assert_non_null(strstr(e.text, words));
}

static void integer_weights_and_converted_files_have_none(void **state) {
    (void)state;
    refused(false, WEIGHT_TYPE_INT8, "f32 or bf16; those in int8");
    refused(false, WEIGHT_TYPE_INT4, "f32 or bf16");
    refused(true, WEIGHT_TYPE_F32, "converted file");
}

static void they_are_packed_in_the_form_that_suits_them(void **state) {
    (void)state;
    struct loaded_model m;
    struct second_weights s;
    struct error e;
    for (enum weight_type type = WEIGHT_TYPE_F32; type <= WEIGHT_TYPE_BF16; type++) {
        load(&m, test_source_path("deploy/models/tales"), type);
        assert_ok(second_weights_check(false, type, &e));
        assert_ok(second_weights_init(&s, &m, WEIGHT_TYPE_INT4, workers, NULL, NULL, &e));
        assert_int_equal(s.packed.weights, WEIGHT_TYPE_INT4);
        assert_int_equal(s.folded.form, NORM_FORM_ORTHONORMAL);
        assert_false(s.folded.rotated);
        assert_true(s.packed.memory_floats * 2 < m.packed.memory_floats);
        second_weights_deinit(&s);
        loaded_model_deinit(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integer_weights_and_converted_files_have_none),
        cmocka_unit_test(they_are_packed_in_the_form_that_suits_them),
    };
    return cmocka_run_group_tests(tests, start_workers, stop_workers);
}
