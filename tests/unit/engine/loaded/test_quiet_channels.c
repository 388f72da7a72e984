/* Which channels of a converted file are quiet: what its maker found is what it says, with the same directions and factors; what
 * the stream does not have is refused. */
#include "engine/fold/quiet.h"
#include "engine/loaded/loaded_model.h"
#include "tests/support/failing_malloc.h"
#include "tests/support/folded_place.h"
#include "tests/unit/engine/loaded/converted.h"

/* Made in int8, with two such channels. */
struct fixture {
    struct place *place;
    struct folded_place from;
    struct packed_model packed;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct error e = {0};
    struct folded_model *c = &f->from.folded;
    f->place = place_create(test_source_path("tests/golden/families/gpt2"), NORM_FORM_RMSNORM,
                            WEIGHT_TYPE_INT8, workers);
    folded_place_init(&f->from, f->place->model, NORM_FORM_RMSNORM);
    folded_model_rotate(c);
    c->quiet[0] = 7;
    c->quiet[1] = 2;
    c->quiet_count = 2;
    assert_ok(folded_model_quieten(c, workers, &e));
    assert_ok(packed_model_init(&f->packed, c, MATMUL_OWN,
                                packed_types_of(WEIGHT_TYPE_INT8, HEAD_WEIGHTS_AUTO), workers, NULL, NULL,
                                &e));
    fixture_write(f->place->model, &f->packed, f->place->path);
    draft_deinit(&f->place->draft);
    draft_open(&f->place->draft, f->place->path);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    packed_model_deinit(&f->packed);
    folded_place_deinit(&f->from);
    place_destroy(f->place);
    free(f);
    return 0;
}

static void test_they_are_those_that_were_found(void **state) {
    const struct fixture *f = *state;
    const struct row_directions *made = &f->packed.quiet.directions;
    struct error e = {0};
    struct loaded_model model;
    assert_ok(load(f->place, &model, &e));
    const struct row_directions *found = &model.packed.quiet.directions;
    const struct packed_norm *norm = &model.packed.layers[1].mlp.norm;
    assert_int_equal(found->count, 2);
    assert_int_equal(found->columns, made->columns);
    assert_memory_equal(found->first, made->first, 2 * sizeof *made->first);
    assert_memory_equal(found->entries, made->entries, 2 * made->columns * sizeof *made->entries);
    assert_memory_equal(norm->quiet, f->packed.layers[1].mlp.norm.quiet, 2 * sizeof *norm->quiet);
    assert_true(norm->quiet[0] < 0 && norm->quiet[0] > -1);
    loaded_model_deinit(&model);
}

static void test_false_claims(void **state) {
    struct place *place = ((struct fixture *)*state)->place;
    claim_refused(place, "quiet_channels", "1,9999", "channel 9999|rotated");
    claim_refused(place, "quiet_channels", "", "packed weights|bytes");
}

static void test_loading_wherever_memory_ends(void **state) {
    const struct fixture *f = *state;
    bool failed = true;
    size_t refused = 0;
    for (size_t n = 1; failed; n++) {
        struct error e = {0};
        struct loaded_model model;
        failing_malloc_arm(n);
        const enum status status = load(f->place, &model, &e);
        failed = failing_malloc_disarm();
        assert_int_equal(status, failed ? STATUS_NO_MEMORY : STATUS_OK);
        refused += failed;
        if (status == STATUS_OK) loaded_model_deinit(&model);
    }
    assert_true(refused > 20);
}

/* Its factors and directions: what was made by then is freed with the model. */
static void test_making_wherever_memory_ends(void **state) {
    const struct fixture *f = *state;
    bool failed = true;
    size_t n = 1;
    for (; failed; n++) {
        struct error e = {0};
        struct folded_place made;
        struct quiet_directions directions = {0};
        folded_place_init(&made, f->place->model, NORM_FORM_RMSNORM);
        folded_model_rotate(&made.folded);
        made.folded.quiet[0] = 7;
        made.folded.quiet_count = 1;
        failing_malloc_arm(n);
        enum status status = folded_model_quieten(&made.folded, workers, &e);
        if (status == STATUS_OK) status = quiet_directions_init(&directions, &made.folded, &e);
        failed = failing_malloc_disarm();
        assert_int_equal(status, failed ? STATUS_NO_MEMORY : STATUS_OK);
        quiet_directions_deinit(&directions);
        folded_place_deinit(&made);
    }
    assert_true(n > 2 * f->from.description.layers + 1 + 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_they_are_those_that_were_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_false_claims, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loading_wherever_memory_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_making_wherever_memory_ends, setup, teardown),
    };
    struct error e = {0};
    assert_ok(workers_create(2, &workers, &e));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    workers_destroy(workers);
    return failed;
}
