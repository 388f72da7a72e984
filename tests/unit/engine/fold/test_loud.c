/* Which channels of the residual stream are told to be loud: by their writers' weights alone, a part of the channels at most,
 * the same for any number of workers; and where they are in a rotated stream. */
#include "engine/fold/loud.h"

#include <math.h>

#include "tests/support/folded_place.h"

enum { WIDTH = 32, LAYERS = 24, CHANNEL = 11, NAN_EXPONENT = 16 };

/* A model of 24 layers; matrices that are changed are copies. */
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
    assert_int_equal(f->place.description.width, WIDTH);
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

/* A row of an output projection times a power of two, as exponents of f16 have it; NaN for one beyond all. */
static void scale_row(struct fixture *f, struct folded_linear *output, size_t row, unsigned exponent) {
    struct matrix_view *view = &output->part[0].weight;
    const size_t bytes = view->out * view->in * sizeof(uint16_t);
    uint16_t *copy = malloc(bytes);
    assert_int_equal(view->tensor->dtype, DTYPE_F16);
    memcpy(copy, view->tensor->data, bytes);
    for (size_t k = 0; k < view->in; k++) {
        uint16_t *entry = &copy[row * view->in + k];
        *entry = exponent < NAN_EXPONENT ? (uint16_t)(*entry + (exponent << 10)) : 0x7e00;
    }
    f->tensors[f->count] = *view->tensor;
    f->tensors[f->count].data = copy;
    view->tensor = &f->tensors[f->count];
    f->copies[f->count++] = copy;
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
    find(f, 1);
    assert_int_equal(f->place.folded.loud_count, 0);
}

/* By either kind of output projection. */
static void test_a_channel_that_is_written_loudly(void **state) {
    struct fixture *f = *state;
    folded_model_rotate(&f->place.folded);
    scale_row(f, &f->place.folded.layers[5].attention.output, CHANNEL, 3);
    for (size_t threads = 1; threads <= 3; threads++) {
        f->place.folded.loud_count = 99;
        find(f, threads);
        assert_int_equal(f->place.folded.loud_count, 1);
        assert_int_equal(f->place.folded.loud[0], CHANNEL);
    }
    scale_row(f, &f->place.folded.layers[20].mlp.output, CHANNEL + 1, 4);
    find(f, 2);
    assert_int_equal(f->place.folded.loud_count, 1); /* of 32 */
    assert_int_equal(f->place.folded.loud[0], CHANNEL + 1);
}

static void test_what_is_not_finite_is_not(void **state) {
    struct fixture *f = *state;
    folded_model_rotate(&f->place.folded);
    scale_row(f, &f->place.folded.layers[5].mlp.output, CHANNEL, NAN_EXPONENT);
    find(f, 1);
    assert_int_equal(f->place.folded.loud_count, 0);
    scale_row(f, &f->place.folded.layers[6].mlp.output, CHANNEL + 1, 4);
    find(f, 1);
    assert_int_equal(f->place.folded.loud_count, 1);
    assert_int_equal(f->place.folded.loud[0], CHANNEL + 1);
}

/* Nothing is mixed with a channel of a stream that is not rotated. */
static void test_in_a_stream_that_is_not_rotated_none_is(void **state) {
    struct fixture *f = *state;
    scale_row(f, &f->place.folded.layers[5].attention.output, CHANNEL, 4);
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
