/* Which MLPs are told to have massive activations: by their weights alone, a part of the layers at most, and the same for any
 * number of workers. */
#include "engine/fold/massive.h"

#include "tests/support/folded_place.h"

enum { LAYERS = 24, UNIT = 17 };

/* Of a model of 24 gated layers; matrices that are changed are copies. */
struct fixture {
    struct folded_place place;
    struct tensor tensors[2 * LAYERS];
    uint16_t *copies[2 * LAYERS];
    size_t count;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    folded_place_init(&f->place, test_source_path("tests/golden/families/llama-deep"), NORM_FORM_RMSNORM);
    assert_int_equal(f->place.description.layers, LAYERS);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    folded_place_deinit(&f->place);
    for (size_t i = 0; i < f->count; i++) free(f->copies[i]);
    free(f);
    return 0;
}

/* Its entries times a power of two, as the exponents of f16 have it; NaN for an exponent beyond all. */
static void make_loud(struct fixture *f, struct matrix_view *view, unsigned exponent) {
    const size_t bytes = view->out * view->in * sizeof(uint16_t);
    uint16_t *copy = malloc(bytes);
    assert_int_equal(view->tensor->dtype, DTYPE_F16);
    memcpy(copy, view->tensor->data, bytes);
    for (size_t k = 0; k < view->in; k++) {
        uint16_t *entry = &copy[UNIT * view->in + k];
        *entry = exponent < 16 ? (uint16_t)(*entry + (exponent << 10)) : 0x7e00;
    }
    f->tensors[f->count] = *view->tensor;
    f->tensors[f->count].data = copy;
    view->tensor = &f->tensors[f->count];
    f->copies[f->count++] = copy;
}

static void make_massive(struct fixture *f, size_t layer, unsigned exponent) {
    make_loud(f, &f->place.views.layers[layer].gate.weight, exponent);
    make_loud(f, &f->place.views.layers[layer].up.weight, exponent);
}

/* layers: a bit for each. */
static void assert_found(struct fixture *f, size_t threads, uint32_t layers) {
    struct workers *workers;
    struct error e = {0};
    assert_ok(workers_create(threads, &workers, &e));
    for (size_t i = 0; i < f->place.description.layers; i++) f->place.folded.layers[i].mlp.massive = false;
    folded_model_find_massive(&f->place.folded, workers);
    for (size_t i = 0; i < f->place.description.layers; i++)
        if (f->place.folded.layers[i].mlp.massive != (layers >> i & 1)) fail_msg("layer %zu", i);
    workers_destroy(workers);
}

static void test_ordinary_layers_are_not(void **state) {
    assert_found(*state, 1, 0);
}

/* A unit whose rows of gate and up are both loud; by one of them alone it takes more. */
static void test_a_loud_unit_is(void **state) {
    struct fixture *f = *state;
    make_massive(f, 4, 4);
    make_massive(f, 20, 3);
    make_loud(f, &f->place.views.layers[9].up.weight, 1);
    for (size_t threads = 1; threads <= 3; threads++) assert_found(f, threads, 1u << 4 | 1u << 20);
}

static void test_those_that_stand_out_most(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < LAYERS; i++) make_massive(f, i, i == 2 || i == 11 || i == 23 ? 6 : 3);
    assert_found(f, 2, 1u << 2 | 1u << 11 | 1u << 23);
}

/* A plan has as many as there may be, and none of what has no gate. */
static void test_as_many_as_there_may_be(void **state) {
    struct fixture *f = *state;
    size_t count = 0;
    folded_model_assume_massive(&f->place.folded);
    for (size_t i = 0; i < LAYERS; i++) count += f->place.folded.layers[i].mlp.massive;
    assert_int_equal(count, 3);
}

static void test_what_is_not_finite_is_not(void **state) {
    struct fixture *f = *state;
    make_massive(f, 4, 16);
    make_massive(f, 5, 4);
    assert_found(f, 1, 1u << 5);
}

/* No part of a MLP without a gate is read, so one that is not there does no harm. */
static void test_without_a_gate_none_is(void **state) {
    (void)state;
    struct fixture f = {0};
    folded_place_init(&f.place, test_source_path("tests/golden/families/gpt2"), NORM_FORM_RMSNORM);
    assert_false(f.place.description.gated);
    assert_found(&f, 1, 0);
    folded_model_assume_massive(&f.place.folded);
    assert_false(f.place.folded.layers[0].mlp.massive);
    folded_place_deinit(&f.place);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_ordinary_layers_are_not),   TEST(test_a_loud_unit_is),
        TEST(test_those_that_stand_out_most), TEST(test_as_many_as_there_may_be),
        TEST(test_what_is_not_finite_is_not), cmocka_unit_test(test_without_a_gate_none_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
