/* Which channels of the residual stream are told to be loud: by their writers' weights alone, a part of the channels at most,
 * the same for any number of workers; and where they are in a rotated stream. */
#include "engine/fold/loud.h"

#include <math.h>

#include "tests/support/folded_place.h"

enum { WIDTH = 32, LAYERS = 24, CHANNEL = 11 };
enum { ONE = 0x3c00, ONE_AND_A_HALF = 0x3e00, TWO = 0x4000, THREE = 0x4200, NOT_A_NUMBER = 0x7e00 };

/* A model of 24 layers whose output projections' entries are all 1: [layer][attention, MLP]. */
struct fixture {
    struct folded_place place;
    struct tensor tensors[LAYERS][2];
    uint16_t *entries[LAYERS][2];
};

static void flatten(struct folded_linear *output, struct tensor *tensor, uint16_t **entries) {
    struct matrix_view *view = &output->part[0].weight;
    const size_t count = view->out * view->in;
    assert_int_equal(view->tensor->dtype, DTYPE_F16);
    *entries = malloc(count * sizeof **entries);
    for (size_t i = 0; i < count; i++) (*entries)[i] = ONE;
    *tensor = *view->tensor;
    tensor->data = *entries;
    view->tensor = tensor;
}

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    folded_place_init(&f->place, test_source_path("tests/golden/families/llama-deep"), NORM_FORM_RMSNORM);
    assert_int_equal(f->place.description.layers, LAYERS);
    assert_int_equal(f->place.description.width, WIDTH);
    for (size_t i = 0; i < LAYERS; i++) {
        flatten(&f->place.folded.layers[i].attention.output, &f->tensors[i][0], &f->entries[i][0]);
        flatten(&f->place.folded.layers[i].mlp.output, &f->tensors[i][1], &f->entries[i][1]);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    folded_place_deinit(&f->place);
    for (size_t i = 0; i < LAYERS; i++) free(f->entries[i][0]), free(f->entries[i][1]);
    free(f);
    return 0;
}

/* A row of a layer's attention output (0) or MLP output (1). entry: as f16. */
static void set_row(struct fixture *f, size_t layer, size_t output, size_t row, uint16_t entry) {
    const size_t in = f->tensors[layer][output].shape[1];
    assert_int_equal(f->tensors[layer][output].shape[0], WIDTH);
    for (size_t k = 0; k < in; k++) f->entries[layer][output][row * in + k] = entry;
}

static void find(struct fixture *f, size_t threads) {
    struct workers *workers;
    struct error e = {0};
    assert_ok(workers_create(threads, &workers, &e));
    assert_ok(folded_model_find_loud(&f->place.folded, workers, &e));
    workers_destroy(workers);
}

static void test_in_an_ordinary_model_none_is(void **state) {
    struct fixture *f = *state;
    folded_model_rotate(&f->place.folded);
    set_row(f, 5, 0, CHANNEL, ONE_AND_A_HALF);
    find(f, 1);
    assert_int_equal(f->place.folded.loud_count, 0);
}

/* By either kind of output projection. */
static void test_a_channel_that_is_written_loudly(void **state) {
    struct fixture *f = *state;
    folded_model_rotate(&f->place.folded);
    set_row(f, 5, 0, CHANNEL, THREE);
    for (size_t threads = 1; threads <= 3; threads++) {
        f->place.folded.loud_count = 99;
        find(f, threads);
        assert_int_equal(f->place.folded.loud_count, 1);
        assert_int_equal(f->place.folded.loud[0], CHANNEL);
    }
    set_row(f, 20, 1, CHANNEL + 1, THREE);
    find(f, 2);
    assert_int_equal(f->place.folded.loud_count, 1); /* of 32 */
    assert_int_equal(f->place.folded.loud[0], CHANNEL + 1);
}

static void test_what_is_not_finite_is_not(void **state) {
    struct fixture *f = *state;
    folded_model_rotate(&f->place.folded);
    set_row(f, 5, 1, CHANNEL, NOT_A_NUMBER);
    find(f, 1);
    assert_int_equal(f->place.folded.loud_count, 0);
    set_row(f, 6, 1, CHANNEL + 1, TWO);
    find(f, 1);
    assert_int_equal(f->place.folded.loud_count, 1);
    assert_int_equal(f->place.folded.loud[0], CHANNEL + 1);
}

/* Nothing is mixed with a channel of a stream that is not rotated. */
static void test_in_a_stream_that_is_not_rotated_none_is(void **state) {
    struct fixture *f = *state;
    set_row(f, 5, 0, CHANNEL, THREE);
    find(f, 1);
    assert_int_equal(f->place.folded.loud_count, 0);
}

/* The difference that a unit more of a channel makes to the stream, of a form that centres and drops the last channel too. */
static void test_directions(void **state) {
    (void)state;
    static const enum norm_form forms[] = {NORM_FORM_RMSNORM, NORM_FORM_ORTHONORMAL};
    for (size_t i = 0; i < 2; i++) {
        struct folded_place place = {0};
        folded_place_init(&place, test_source_path("tests/golden/families/gpt2"), forms[i]);
        const size_t width = place.description.width, stream = place.folded.stream_width;
        double square = 0, *direction = calloc(width, sizeof *direction), *row = calloc(width, sizeof *row);
        folded_model_rotate(&place.folded);
        assert_true(place.folded.stream.order > 0);
        folded_stream_direction(&place.folded, 3, direction);
        for (size_t k = 0; k < stream; k++) square += direction[k] * direction[k];
        assert_true(fabs(square - (1 - 1.0 / (double)width)) < 1e-12); /* less its share of the mean */
        row[3] = 1;
        folded_stream_convert(&place.folded, row);
        rotation_undo(&place.folded.stream, direction);
        for (size_t k = 0; k < stream; k++) assert_true(fabs(direction[k] - row[k]) < 1e-12);
        free(direction);
        free(row);
        folded_place_deinit(&place);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_in_an_ordinary_model_none_is), TEST(test_a_channel_that_is_written_loudly),
        TEST(test_what_is_not_finite_is_not),    TEST(test_in_a_stream_that_is_not_rotated_none_is),
        cmocka_unit_test(test_directions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
