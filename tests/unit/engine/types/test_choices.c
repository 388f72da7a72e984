/* Names and values of the enums that options choose from, and what does not go together. */
#include "engine/types/choices.h"

#include "tests/support/test_support.h"

/* Every name gives a value that gives the name; each of the values 0 .. count-1 has exactly one. */
static void check_list(const struct named_value *list, int count) {
    int value, names = 0;
    for (const struct named_value *row = list; row->name; row++, names++) {
        assert_true(choice_find(list, row->name, &value));
        assert_int_equal(value, row->value);
        assert_string_equal(choice_name(list, value), row->name);
    }
    assert_int_equal(names, count);
    for (value = 0; value < count; value++) {
        int found = -1;
        assert_true(choice_find(list, choice_name(list, value), &found));
        assert_int_equal(found, value);
    }
    assert_string_equal(choice_name(list, count), "unknown");
    assert_string_equal(choice_name(list, -1), "unknown");
    assert_false(choice_find(list, "", &value));
    assert_false(choice_find(list, "F32", &value));
    assert_false(choice_find(list, "int2", &value));
    assert_false(choice_find(list, "int", &value));
}

/* Those that may be asked for, then those that a model alone decides on, which no option has; and "none". */
static void check_norm_forms(void) {
    int value;
    for (int form = 0; form <= NORM_FORM_NONE; form++) {
        bool own = form == NORM_FORM_OUTPUT || form == NORM_FORM_CRMSNORM_NATIVE;
        assert_string_not_equal(norm_form_name((enum norm_form)form), "unknown");
        assert_true(choice_find(norm_form_choices, norm_form_name((enum norm_form)form), &value) == !own);
        if (!own) assert_int_equal(value, form);
    }
    assert_string_equal(norm_form_name(NORM_FORM_OUTPUT), "output");
    assert_string_equal(norm_form_name(NORM_FORM_CRMSNORM_NATIVE), "crmsnorm-native");
    assert_string_equal(norm_form_name((enum norm_form)(NORM_FORM_NONE + 1)), "unknown");
}

static void names_and_values_are_one_to_one(void **state) {
    (void)state;
    check_norm_forms();
    check_list(weight_type_choices, WEIGHT_TYPE_COUNT);
    check_list(kv_type_choices, KV_TYPE_COUNT + 1); /* and "auto" */
    check_list(matmul_choices, MATMUL_COUNT);
    check_list(kernel_isa_choices, KERNEL_ISA_COUNT);
    check_list(speculate_choices, SPECULATE_COUNT + 1); /* and "auto" */
    check_list(head_weights_choices, HEAD_WEIGHTS_COUNT);
    assert_string_equal(kernel_isa_name(KERNEL_ISA_AUTO), "auto");
    assert_string_equal(kernel_isa_name(KERNEL_ISA_avx512vnni), "avx512vnni");
    assert_string_equal(kv_type_name(KV_TYPE_AUTO), "auto");
}

/* What only an option has is nothing that a file could have. */
static void files_have_only_what_models_can(void **state) {
    (void)state;
    enum norm_form form;
    enum weight_type type;
    for (enum norm_form f = 0; f < NORM_FORM_COUNT; f++) {
        assert_true(norm_form_from_name(norm_form_name(f), &form));
        assert_int_equal(form, f);
    }
    assert_false(norm_form_from_name("none", &form));
    for (enum weight_type t = 0; t < WEIGHT_TYPE_COUNT; t++) {
        assert_true(weight_type_from_name(weight_type_name(t), &type));
        assert_int_equal(type, t);
    }
    assert_false(weight_type_from_name("int2", &type));
}

static void the_cache_goes_by_the_weights_where_nobody_says(void **state) {
    (void)state;
    for (enum weight_type w = 0; w < WEIGHT_TYPE_COUNT; w++) {
        assert_int_equal(kv_type_choose(KV_TYPE_AUTO, w), w == WEIGHT_TYPE_F32 ? KV_TYPE_F32 : KV_TYPE_F16);
        for (enum kv_type t = 0; t < KV_TYPE_COUNT; t++) assert_int_equal(kv_type_choose(t, w), t);
    }
}

static void what_does_not_go_together(void **state) {
    (void)state;
    struct error e;
    for (enum weight_type w = 0; w < WEIGHT_TYPE_COUNT; w++) {
        assert_ok(matmul_check(MATMUL_OWN, w, &e));
        if (w == WEIGHT_TYPE_F32) continue;
        assert_int_equal(matmul_check(MATMUL_OPENBLAS, w, &e), STATUS_OPTION);
        assert_string_equal(e.where, "weights");
    }
    assert_ok(matmul_check(MATMUL_OPENBLAS, WEIGHT_TYPE_F32, &e));
    for (enum norm_form f = 0; f < NORM_FORM_COUNT; f++) assert_ok(norm_form_check(f, &e));
    assert_int_equal(norm_form_check(NORM_FORM_NONE, &e), STATUS_OPTION);
    for (enum weight_type w = 0; w < WEIGHT_TYPE_COUNT; w++) {
        assert_ok(head_weights_check(HEAD_WEIGHTS_AUTO, w, &e));
        for (enum head_weights h = HEAD_WEIGHTS_INT8; h < HEAD_WEIGHTS_COUNT; h++)
            assert_int_equal(head_weights_check(h, w, &e), w == WEIGHT_TYPE_INT4 ? STATUS_OK : STATUS_OPTION);
    }
    assert_string_equal(e.where, "head-weights");
    assert_ok(kv_page_tokens_check(16, &e));
    assert_ok(kv_page_tokens_check(48, &e));
    assert_int_equal(kv_page_tokens_check(0, &e), STATUS_OPTION);
    assert_int_equal(kv_page_tokens_check(17, &e), STATUS_OPTION);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_are_one_to_one),
        cmocka_unit_test(files_have_only_what_models_can),
        cmocka_unit_test(the_cache_goes_by_the_weights_where_nobody_says),
        cmocka_unit_test(what_does_not_go_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
