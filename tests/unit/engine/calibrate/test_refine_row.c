/* Rows of a head in int4 that are rounded again for where they matter: the uses are those of plain probabilities; by the
 * row's own moments in double precision no row is worse, and rows are much better together; what is not used and what has
 * no scale stays; and how the errors are told is what was stored. */
#include <math.h>

#include "engine/calibrate/refine_row.h"
#include "engine/pack/panels/panels.h"
#include "tests/support/test_support.h"

enum { IN = 75, ROWS = 40, POSITIONS = 300, UNUSED = 5, INFINITE = 7 };

struct scene {
    double weights[ROWS][IN];
    struct hessian hessian;
    struct refining refining;
    struct head_uses uses;
    struct workers *workers;
    void *panel;
};

static float uniform(void) {
    return (float)rand() / (float)RAND_MAX - 0.5f;
}

static double logit(const struct scene *s, size_t n, size_t t) {
    const float *x = s->refining.inputs + t * refine_padded(IN);
    double sum = 0;
    for (size_t k = 0; k < IN; k++) sum += s->weights[n][k] * (double)x[k];
    return sum;
}

static void add_uses(struct scene *s) {
    for (size_t t = 0; t < POSITIONS; t++) {
        float logits[ROWS];
        for (size_t n = 0; n < ROWS; n++)
            logits[n] = n == UNUSED ? -100.0f : n == INFINITE ? 2.0f : (float)logit(s, n, t);
        head_uses_add(&s->uses, kernel_scalar(), t, logits, ROWS);
    }
}

static void make_inputs(struct scene *s) {
    for (size_t t = 0; t < POSITIONS; t++) {
        float *x = s->refining.inputs + t * refine_padded(IN), common = 0;
        for (size_t k = 0; k < IN; k++) x[k] = common = 0.8f * common + uniform();
    }
    const struct hessian_rows rows = {
        .x = s->refining.inputs, .stride = refine_padded(IN), .rows = POSITIONS};
    hessian_begin(&s->hessian, IN);
    hessian_add(&s->hessian, &rows, kernel_scalar(), s->workers);
    refining_take(&s->refining, &s->hessian);
}

static void scene_init(struct scene *s) {
    struct error e = {0};
    srand(3);
    assert_ok(workers_create(1, &s->workers, &e));
    assert_ok(hessian_init(&s->hessian, IN, HESSIAN_STRETCH_MAX, POSITIONS, &e));
    assert_ok(refining_init(&s->refining, IN, POSITIONS, &e));
    assert_ok(head_uses_init(&s->uses, POSITIONS, ROWS, &e));
    for (size_t n = 0; n < ROWS; n++)
        for (size_t k = 0; k < IN; k++) s->weights[n][k] = (double)(uniform() + uniform());
    s->weights[INFINITE][3] = INFINITY;
    make_inputs(s);
    add_uses(s);
    s->panel = aligned_alloc(KERNEL_ALIGN, kernel_panel_bytes(WEIGHT_TYPE_INT4, IN));
    panels_pack(WEIGHT_TYPE_INT4, s->weights[0], 0, ROWS, IN, s->panel);
}

static void scene_deinit(struct scene *s) {
    hessian_deinit(&s->hessian);
    refining_deinit(&s->refining);
    head_uses_deinit(&s->uses);
    workers_destroy(s->workers);
    free(s->panel);
}

/* ---- by the layout in kernel.h ---- */

static double stored(const struct scene *s, size_t n, size_t k) {
    const uint8_t *bytes = s->panel;
    const size_t g = k / 32, low = k % 16;
    const uint8_t byte = bytes[((g * 4 + low / 4) * KERNEL_PANEL + n) * 4 + low % 4];
    const int8_t *groups = (const int8_t *)bytes + kernel_padded_k(IN) / 2 * KERNEL_PANEL;
    const int q = (k % 32 < 16 ? byte & 15 : byte >> 4) - 8;
    const float *scales =
        (const float *)(const void *)(bytes + kernel_panel_bytes(WEIGHT_TYPE_INT4, IN)) - KERNEL_PANEL;
    const int value = groups[(g * KERNEL_PANEL + n) * 2] * q + groups[(g * KERNEL_PANEL + n) * 2 + 1];
    assert_in_range(groups[(g * KERNEL_PANEL + n) * 2], 1, 16);
    assert_in_range(value + 127, 0, 254);
    return (double)scales[n] * value;
}

static double error_at(const struct scene *s, size_t n, const float *x) {
    double sum = 0;
    for (size_t k = 0; k < IN; k++) sum += (s->weights[n][k] - stored(s, n, k)) * (double)x[k];
    return sum;
}

static double mean_square(const struct scene *s) {
    double sum = 0;
    for (size_t t = 0; t < POSITIONS; t++)
        for (size_t k = 0; k < IN; k++) sum += pow((double)s->refining.inputs[t * refine_padded(IN) + k], 2);
    return sum / (POSITIONS * IN);
}

/* What the errors of a row cost: of all positions, and of those where it is used, as far as these are many. */
static double cost_of(const struct scene *s, size_t n) {
    double all = 0, own = 0, sum = 0, squares = 0, ridge = 0;
    for (uint32_t i = s->uses.last[n]; i != HEAD_USES_END; i = s->uses.uses[i].next) {
        const struct head_use *use = &s->uses.uses[i];
        const double weight = (double)use->weight;
        own += weight * pow(error_at(s, n, s->refining.inputs + use->position * refine_padded(IN)), 2);
        sum += weight;
        squares += weight * weight;
    }
    for (size_t t = 0; t < POSITIONS; t++)
        all += pow(error_at(s, n, s->refining.inputs + t * refine_padded(IN)), 2) / POSITIONS;
    for (size_t k = 0; k < IN; k++) ridge += pow(s->weights[n][k] - stored(s, n, k), 2);
    all += 0.01 * mean_square(s) * ridge;
    const double equal = sum * sum / squares, general = REFINE_SHRINKING / (equal + REFINE_SHRINKING);
    return general * all + (1 - general) * own / sum;
}

/* ---- tests ---- */

static size_t refine(struct scene *s, size_t n) {
    const size_t floats = refine_row_scratch(IN, POSITIONS);
    float *scratch = malloc(floats * sizeof *scratch);
    for (size_t i = 0; i < floats; i++) scratch[i] = NAN;
    const size_t changed =
        refine_row(&s->refining, &s->uses, s->uses.last[n], s->weights[n], s->panel, n, scratch);
    free(scratch);
    return changed;
}

static void test_no_used_row_is_worse(void **state) {
    (void)state;
    struct scene s;
    double before = 0, after = 0;
    scene_init(&s);
    for (size_t n = 0; n < ROWS; n++) {
        if (n == UNUSED || n == INFINITE) continue;
        const double was = cost_of(&s, n);
        assert_true(refine(&s, n) > 0);
        const double is = cost_of(&s, n);
        if (!(is < was)) fail_msg("row %zu: %g, was %g", n, is, was);
        before += was;
        after += is;
    }
    print_message("%.3g of the cost before\n", after / before);
    assert_true(after < 0.6 * before);
    scene_deinit(&s);
}

static void test_others_stay(void **state) {
    (void)state;
    struct scene s;
    scene_init(&s);
    const size_t bytes = kernel_panel_bytes(WEIGHT_TYPE_INT4, IN);
    void *before = malloc(bytes);
    memcpy(before, s.panel, bytes);
    assert_true(s.uses.last[UNUSED] == HEAD_USES_END);
    assert_true(s.uses.last[INFINITE] != HEAD_USES_END);
    assert_int_equal(refine(&s, UNUSED), 0);
    assert_int_equal(refine(&s, INFINITE), 0);
    assert_memory_equal(s.panel, before, bytes);
    free(before);
    scene_deinit(&s);
}

/* A second time hardly anything is left to win. */
static void test_it_comes_to_an_end(void **state) {
    (void)state;
    struct scene s;
    double once = 0, twice = 0;
    scene_init(&s);
    for (size_t n = 0; n < ROWS; n++) {
        if (n == UNUSED || n == INFINITE) continue;
        refine(&s, n);
        once += cost_of(&s, n);
        refine(&s, n);
        twice += cost_of(&s, n);
    }
    assert_true(twice <= once && twice > 0.9 * once);
    scene_deinit(&s);
}

static void test_uses_are_where_a_token_is_in_question(void **state) {
    (void)state;
    struct head_uses u;
    struct error e = {0};
    float logits[2][ROWS];
    size_t expected = 0;
    srand(9);
    assert_ok(head_uses_init(&u, 2, ROWS, &e));
    for (size_t t = 0; t < 2; t++) {
        for (size_t n = 0; n < ROWS; n++) logits[t][n] = 14 * uniform();
        head_uses_add(&u, kernel_scalar(), t, logits[t], ROWS);
    }
    for (size_t n = 0; n < ROWS; n++) {
        uint32_t at = u.last[n];
        for (size_t t = 2; t-- > 0;) {
            double sum = 0;
            for (size_t i = 0; i < ROWS; i++) sum += exp((double)logits[t][i] - (double)logits[t][n]);
            const double weight = (1 - 1 / sum) / sum;
            if (weight < (double)HEAD_USE_LEAST) continue;
            assert_true(at != HEAD_USES_END);
            assert_int_equal(u.uses[at].position, t);
            assert_true(fabs((double)u.uses[at].weight - weight) < 1e-5);
            at = u.uses[at].next;
            expected++;
        }
        assert_true(at == HEAD_USES_END);
    }
    assert_int_equal(u.count, expected);
    assert_in_range(expected, 5, 2 * ROWS - 10);
    head_uses_deinit(&u);
}

/* Nothing is certain: as many tokens at one position as there can be. */
static void test_no_position_has_more_than_there_is_room_for(void **state) {
    (void)state;
    enum { MANY = HEAD_USES_MOST + 9 };
    static float logits[MANY];
    for (size_t equal = HEAD_USES_MOST - 2; equal < MANY; equal++) {
        struct head_uses u;
        struct error e = {0};
        assert_ok(head_uses_init(&u, 1, MANY, &e));
        for (size_t n = 0; n < MANY; n++) logits[n] = n < equal ? 1 : -50;
        head_uses_add(&u, kernel_scalar(), 0, logits, MANY);
        assert_int_equal(u.count, equal < HEAD_USES_MOST - 1 ? equal : 0);
        head_uses_deinit(&u);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_used_row_is_worse),
        cmocka_unit_test(test_others_stay),
        cmocka_unit_test(test_it_comes_to_an_end),
        cmocka_unit_test(test_uses_are_where_a_token_is_in_question),
        cmocka_unit_test(test_no_position_has_more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
