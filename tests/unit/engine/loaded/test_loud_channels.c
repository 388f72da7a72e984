/* When loud channels of the residual stream are looked for. */
#include "engine/fold/loud.h"
#include "engine/loaded/loaded_model.h"
#include "tests/support/test_support.h"

static struct workers *workers;

/* Of a small model that has a loud channel by chance: looked for in int8 alone, and not where nothing is packed, but a plan has as
 * many quiet ones as may be found. */
static void test_they_are_looked_for_in_int8(void **state) {
    (void)state;
    const char *folder = test_source_path("tests/golden/families/gpt_neox-tf5");
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++)
        for (int plan_only = 0; plan_only < 2; plan_only++) {
            struct error e = {0};
            struct loaded_model model;
            const struct loaded_model_options options = {
                .model = folder, .weights = type, .form = NORM_FORM_ORTHONORMAL, .plan_only = plan_only};
            assert_ok(loaded_model_init(&model, &options, workers, &e));
            assert_int_equal(model.folded.loud_count, type == WEIGHT_TYPE_INT8 && !plan_only);
            if (plan_only) assert_int_equal(model.folded.quiet_count, folded_loud_most(&model.folded));
            loaded_model_deinit(&model);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_they_are_looked_for_in_int8)};
    struct error e = {0};
    assert_ok(workers_create(2, &workers, &e));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    workers_destroy(workers);
    return failed;
}
