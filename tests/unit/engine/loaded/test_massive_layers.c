/* Which MLPs of a converted file have massive activations: what its maker found is what it says, and what its memory is read
 * as; what the description has no room for is refused. */
#include "engine/loaded/loaded_model.h"

#include "tests/support/folded_place.h"
#include "tests/unit/engine/loaded/converted.h"

enum { MASSIVE = 1 };

/* Made in int8, with one such layer. */
static int setup(void **state) {
    struct place *place = place_create(test_source_path("tests/golden/families/gpt2"), NORM_FORM_RMSNORM,
                                       WEIGHT_TYPE_INT8, workers);
    struct error e = {0};
    struct folded_place from;
    struct packed_model packed;
    folded_place_init(&from, place->model, NORM_FORM_RMSNORM);
    from.folded.layers[MASSIVE].mlp.massive = true;
    assert_ok(packed_model_init(&packed, &from.folded, MATMUL_OWN,
                                packed_types_of(WEIGHT_TYPE_INT8, HEAD_WEIGHTS_AUTO), workers, NULL, NULL,
                                &e));
    fixture_write(place->model, &packed, place->path);
    packed_model_deinit(&packed);
    folded_place_deinit(&from);
    draft_deinit(&place->draft);
    draft_open(&place->draft, place->path);
    *state = place;
    return 0;
}

static int teardown(void **state) {
    place_destroy(*state);
    return 0;
}

static void test_they_are_those_that_were_found(void **state) {
    struct error e = {0};
    struct loaded_model model;
    assert_ok(load(*state, &model, &e));
    for (size_t i = 0; i < model.description.layers; i++)
        assert_int_equal(model.packed.layers[i].mlp.output.type,
                         i == MASSIVE ? WEIGHT_TYPE_BF16 : WEIGHT_TYPE_INT8);
    loaded_model_deinit(&model);
}

static void test_false_claims(void **state) {
    claim_refused(*state, "massive_mlps", "1,999", "layer 999|massive activations");
    claim_refused(*state, "massive_mlps", "", "packed weights|bytes");
    claim_refused(*state, "massive_mlps", "0,1", "packed weights|bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_they_are_those_that_were_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_false_claims, setup, teardown),
    };
    struct error e = {0};
    assert_ok(workers_create(2, &workers, &e));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    workers_destroy(workers);
    return failed;
}
