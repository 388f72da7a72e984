/* Which loud channels become quiet, and by which factors: by the table and the columns of what reads the stream, the same for any
 * number of workers. */
#include "engine/fold/quiet.h"

#include <math.h>

#include "tests/support/folded_place.h"

enum { WIDTH = 32, QUIET = 11, LOUD = 12 };
enum { ONE = 0x3c00, MINUS_ONE = 0xbc00 };

/* A model whose table's entries are 1, and -1 for every other token; but for channel QUIET, where three of four are 1. */
struct fixture {
    struct folded_place place;
    struct tensor table;
    uint16_t *entries;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    folded_place_init(&f->place, test_source_path("tests/golden/families/llama-deep"), NORM_FORM_RMSNORM);
    struct matrix_view *view = &f->place.views.embedding;
    const size_t count = view->out * view->in;
    assert_int_equal(view->in, WIDTH);
    f->entries = malloc(count * sizeof *f->entries);
    for (size_t i = 0; i < count; i++) {
        const size_t token = i / WIDTH;
        const bool minus = i % WIDTH == QUIET ? token % 8 == 0 : token % 2;
        f->entries[i] = minus ? MINUS_ONE : ONE;
    }
    f->table = *view->tensor;
    assert_int_equal(f->table.dtype, DTYPE_F16);
    f->table.data = f->entries;
    view->tensor = &f->table;
    folded_model_rotate(&f->place.folded);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    folded_place_deinit(&f->place);
    free(f->entries);
    free(f);
    return 0;
}

static void find(struct folded_model *c) {
    struct error e = {0};
    c->loud[0] = LOUD;
    c->loud[1] = QUIET;
    c->loud_count = 2;
    assert_ok(folded_model_find_quiet(c, &e));
}

static void quieten(struct folded_model *c, size_t threads) {
    struct workers *workers;
    struct error e = {0};
    assert_ok(workers_create(threads, &workers, &e));
    assert_ok(folded_model_quieten(c, workers, &e));
    workers_destroy(workers);
}

static void test_those_that_tokens_have_alike(void **state) {
    struct folded_model *c = &((struct fixture *)*state)->place.folded;
    struct error e = {0};
    find(c);
    assert_int_equal(c->quiet_count, 1);
    assert_int_equal(c->quiet[0], QUIET);
    c->loud_count = 0;
    assert_ok(folded_model_find_quiet(c, &e));
    assert_int_equal(c->quiet_count, 0);
    quieten(c, 1);
    assert_null(c->final_norm.quiet);
}

static void check_factors(const struct folded_norm *norm, const struct folded_linear *reader) {
    for (size_t i = 0; i < WIDTH; i++) {
        assert_true(reader->quiet[i] == 1 / norm->quiet[i]);
        if (i == QUIET)
            assert_true(norm->quiet[i] >= 0.125 && norm->quiet[i] < 0.6);
        else
            assert_true(norm->quiet[i] == 1);
    }
}

static void test_factors(void **state) {
    struct folded_model *c = &((struct fixture *)*state)->place.folded;
    double *gain = c->layers[3].attention.fold.gain;
    find(c);
    gain[QUIET] = 0;
    quieten(c, 3);
    for (size_t i = 0; i < c->description->layers; i++) {
        check_factors(&c->layers[i].attention.norm, &c->layers[i].qkv);
        check_factors(&c->layers[i].mlp.norm, &c->layers[i].up);
    }
    check_factors(&c->final_norm, &c->head);
    assert_true(c->layers[3].attention.norm.quiet[QUIET] == 0.125);
    assert_true(c->layers[4].attention.norm.quiet[QUIET] > 0.125);
    assert_null(c->layers[0].attention.output.quiet);
}

/* A row keeps all but its part along the direction. */
static void test_rows(void **state) {
    struct folded_model *c = &((struct fixture *)*state)->place.folded;
    double direction[WIDTH], row[WIDTH], product = 0, square = 0;
    find(c);
    quieten(c, 1);
    const double factor = c->final_norm.quiet[QUIET];
    folded_quiet_direction(c, QUIET, direction);
    for (size_t i = 0; i < WIDTH; i++) {
        row[i] = sin((double)i);
        product += row[i] * direction[i];
        square += direction[i] * direction[i];
    }
    assert_true(fabs(square - 1) < 1e-12);
    folded_norm_quieten(c, &c->final_norm, row);
    for (size_t i = 0; i < WIDTH; i++)
        assert_true(fabs(row[i] - (sin((double)i) + (factor - 1) * product * direction[i])) < 1e-12);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_those_that_tokens_have_alike), TEST(test_factors),
                                       TEST(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
