/* Rounding with error feedback: never worse for any row than what was packed, judged by the rows of inputs themselves in
 * double precision; much better on all; as good as the method in plain loops of double precision; the same bytes on
 * every instruction set; rows that have no scale stay. */
#include <float.h>
#include <math.h>

#include "engine/calibrate/round_panel.h"
#include "engine/pack/panels/panels.h"
#include "tests/support/test_support.h"

enum { IN_MAX = 300, TOKENS = 512, STRETCH = 2 * HESSIAN_STRETCH_STEP };

struct scene {
    enum weight_type type;
    size_t in, count, stretch_max;
    float *x;        /* [TOKENS, in] */
    double *weights; /* [count, in] */
    void *before, *after;
    struct factor factor;
    struct hessian hessian;
    struct workers *workers;
};

static float uniform(void) {
    return (float)rand() / (float)RAND_MAX - 0.5f;
}

/* Channels that go along with their neighbours, some of them loud, one silent. */
static void make_inputs(struct scene *s) {
    s->x = malloc(TOKENS * s->in * sizeof *s->x);
    for (size_t t = 0; t < TOKENS; t++) {
        float common = 0;
        for (size_t k = 0; k < s->in; k++) {
            common = 0.8f * common + uniform();
            s->x[t * s->in + k] = k == 3 ? 0 : (common + 0.3f * uniform()) * (k % 29 == 5 ? 8.0f : 1.0f);
        }
    }
}

/* Row 2 is all zeros where there is one, and row 4 is not finite. */
static void make_weights(struct scene *s) {
    s->weights = malloc(s->count * s->in * sizeof *s->weights);
    for (size_t i = 0; i < s->count * s->in; i++)
        s->weights[i] = i / s->in == 2 ? 0 : (double)(uniform() + uniform() + uniform());
    if (s->count > 4) s->weights[4 * s->in] = NAN;
}

static void scene_init(struct scene *s, enum weight_type type, size_t in, size_t count, size_t stretch_max) {
    struct error e = {0};
    const size_t bytes = kernel_panel_bytes(type, in);
    *s = (struct scene){.type = type, .in = in, .count = count, .stretch_max = stretch_max};
    srand(11);
    make_inputs(s);
    make_weights(s);
    s->before = aligned_alloc(KERNEL_ALIGN, bytes);
    s->after = aligned_alloc(KERNEL_ALIGN, bytes);
    panels_pack(type, s->weights, 0, count, in, s->before);
    assert_ok(workers_create(2, &s->workers, &e));
    assert_ok(hessian_init(&s->hessian, in, stretch_max, TOKENS, &e));
    assert_ok(factor_init(&s->factor, in, stretch_max, &e));
    const struct hessian_rows rows = {.x = s->x, .stride = in, .rows = TOKENS};
    hessian_begin(&s->hessian, in);
    hessian_add(&s->hessian, &rows, kernel_scalar(), s->workers);
    assert_ok(factor_make(&s->factor, &s->hessian, s->workers, &e));
}

static void scene_deinit(struct scene *s) {
    hessian_deinit(&s->hessian);
    factor_deinit(&s->factor);
    workers_destroy(s->workers);
    free(s->x);
    free(s->weights);
    free(s->before);
    free(s->after);
}

static size_t round_with(struct scene *s, const struct kernel_table *kernels) {
    float *scratch = aligned_alloc(KERNEL_ALIGN, round_panel_scratch(s->in) * sizeof *scratch);
    memcpy(s->after, s->before, kernel_panel_bytes(s->type, s->in));
    size_t changed = round_panel(&s->factor, kernels, s->type, s->weights, s->count, s->after, scratch);
    free(scratch);
    return changed;
}

/* Of weight k of row n. */
static double scale_of(const struct scene *s, const void *panel, size_t k, size_t n) {
    const bool is_int8 = s->type == WEIGHT_TYPE_INT8;
    const char *end =
        (const char *)panel + (is_int8 ? kernel_padded_k(s->in) * KERNEL_PANEL
                                       : kernel_panel_bytes(s->type, s->in) - KERNEL_PANEL * sizeof(float));
    const size_t group = is_int8 ? k / kernel_int8_group_k(s->in) : 0;
    return (double)((const float *)(const void *)end)[group * KERNEL_PANEL + n];
}

/* A weight as the kernels read it, by the layout in kernel.h. */
static double stored(const struct scene *s, const void *panel, size_t k, size_t n) {
    if (s->type == WEIGHT_TYPE_INT8) {
        const int q = ((const uint8_t *)panel)[(k / 4 * KERNEL_PANEL + n) * 4 + k % 4] - 128;
        assert_in_range(q + 127, 0, 254);
        return q * scale_of(s, panel, k, n);
    }
    const size_t g = k / 32, low = k % 16;
    const uint8_t byte = ((const uint8_t *)panel)[((g * 4 + low / 4) * KERNEL_PANEL + n) * 4 + low % 4];
    const int8_t *groups = (const int8_t *)panel + kernel_padded_k(s->in) / 2 * KERNEL_PANEL;
    const int q = (k % 32 < 16 ? byte & 15 : byte >> 4) - 8;
    const int value = groups[(g * KERNEL_PANEL + n) * 2] * q + groups[(g * KERNEL_PANEL + n) * 2 + 1];
    assert_in_range(value + 127, 0, 254);
    return value * scale_of(s, panel, k, n);
}

/* ||X (w - q)||^2, in each stretch by itself. */
static double cost_of(const struct scene *s, const double *errors) {
    double cost = 0;
    for (size_t first = 0; first < s->in; first += s->factor.stretch)
        for (size_t t = 0; t < TOKENS; t++) {
            double sum = 0;
            for (size_t k = first; k < s->in && k < first + s->factor.stretch; k++)
                sum += (double)s->x[t * s->in + k] * errors[k];
            cost += sum * sum;
        }
    return cost;
}

static double row_cost(const struct scene *s, const void *panel, size_t n) {
    double errors[IN_MAX];
    for (size_t k = 0; k < s->in; k++) errors[k] = s->weights[n * s->in + k] - stored(s, panel, k, n);
    return cost_of(s, errors);
}

static bool has_scale(size_t n) {
    return n != 2 && n != 4;
}

static const struct {
    size_t in, count, stretch_max;
} cases[] = {{1, 1, HESSIAN_STRETCH_MAX},    {31, 7, HESSIAN_STRETCH_MAX},   {64, 48, HESSIAN_STRETCH_MAX},
             {255, 48, HESSIAN_STRETCH_MAX}, {300, 20, HESSIAN_STRETCH_MAX}, {300, 48, STRETCH},
             {97, 5, HESSIAN_STRETCH_STEP}};

static void each_case(void (*check)(struct scene *s)) {
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        const enum weight_type type = i % 2 ? WEIGHT_TYPE_INT8 : WEIGHT_TYPE_INT4;
        struct scene s;
        scene_init(&s, type, cases[i / 2].in, cases[i / 2].count, cases[i / 2].stretch_max);
        check(&s);
        scene_deinit(&s);
    }
}

static void check_rows(struct scene *s) {
    double before = 0, after = 0;
    const size_t changed = round_with(s, kernel_scalar());
    assert_true(changed <= s->count);
    for (size_t n = 0; n < s->count; n++) {
        if (!has_scale(n)) continue;
        const double was = row_cost(s, s->before, n), is = row_cost(s, s->after, n);
        if (!(is <= was * (1 + 1e-4) + 1e-9)) fail_msg("%zu inputs, row %zu: %g, was %g", s->in, n, is, was);
        before += was;
        after += is;
    }
    print_message("%s, %zu inputs: %.3g of the error before\n", weight_type_name(s->type), s->in,
                  after / before);
    if (s->in >= 64) assert_true(after < 0.6 * before);
}

static void test_no_row_is_worse(void **state) {
    (void)state;
    each_case(check_rows);
}

static void check_others(struct scene *s) {
    round_with(s, kernel_scalar());
    for (size_t n = 0; n < KERNEL_PANEL; n++) {
        for (size_t k = 0; k < s->in; k++) {
            const double scale = scale_of(s, s->before, k, n);
            assert_memory_equal(&scale, &(double){scale_of(s, s->after, k, n)}, sizeof scale);
            if ((n < s->count && has_scale(n)) || scale != scale) continue;
            assert_true(stored(s, s->after, k, n) == stored(s, s->before, k, n));
        }
    }
}

static void test_scales_and_other_rows_stay(void **state) {
    (void)state;
    each_case(check_others);
}

static void check_sets(struct scene *s) {
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    const size_t count = kernel_available(tables), bytes = kernel_panel_bytes(s->type, s->in);
    void *expected = malloc(bytes);
    round_with(s, kernel_scalar());
    memcpy(expected, s->after, bytes);
    for (size_t t = 0; t < count; t++) {
        round_with(s, tables[t]);
        assert_memory_equal(s->after, expected, bytes);
    }
    free(expected);
}

static void test_every_set_gives_the_same_bytes(void **state) {
    (void)state;
    each_case(check_sets);
}

/* ---- the method in plain loops ---- */

struct plain {
    double l[IN_MAX][IN_MAX], d[IN_MAX]; /* H + ridge = L D L' */
};

static void plain_factor(const struct scene *s, struct plain *p) {
    static double h[IN_MAX][IN_MAX];
    double trace = 0;
    for (size_t a = 0; a < s->in; a++)
        for (size_t b = 0; b <= a; b++) {
            h[a][b] = 0;
            for (size_t t = 0; t < TOKENS; t++)
                h[a][b] += (double)s->x[t * s->in + a] * (double)s->x[t * s->in + b];
            if (a == b) trace += h[a][a];
        }
    for (size_t a = 0; a < s->in; a++) h[a][a] += FACTOR_RIDGE * trace / (double)s->in;
    for (size_t a = 0; a < s->in; a++)
        for (size_t b = 0; b <= a; b++) {
            double sum = h[a][b];
            for (size_t k = 0; k < b; k++) sum -= p->l[a][k] * p->l[b][k] * p->d[k];
            p->l[a][b] = a == b ? 1 : sum / p->d[b];
            if (a == b) p->d[a] = sum;
        }
}

/* Rounds [first, end) of a row with one scale and offset, behind it the errors that there are; what it costs. */
static double plain_group(const struct scene *s, const struct plain *p, const double *w, size_t first,
                          size_t end, double m, double c, double *errors) {
    double cost = 0;
    for (size_t k = end; k-- > first;) {
        double x = w[k];
        for (size_t j = k + 1; j < s->in; j++) x += errors[j] * p->l[j][k];
        const double level = fmax(-8, fmin(7, rint((x - c) / m)));
        errors[k] = w[k] - (m * level + c);
        cost += p->d[k] * pow(x - (m * level + c), 2);
    }
    return cost;
}

static void plain_fit(const struct scene *s, const struct plain *p, const double *w, size_t first,
                      double *errors) {
    const size_t end = first + 32 < s->in ? first + 32 : s->in;
    double low = DBL_MAX, high = -DBL_MAX, least = DBL_MAX, best_m = 1, best_c = 0;
    for (size_t k = first; k < end; k++) {
        double x = w[k];
        for (size_t j = end; j < s->in; j++) x += errors[j] * p->l[j][k];
        low = fmin(low, x), high = fmax(high, x);
    }
    for (int wider = -1; wider <= 1; wider++)
        for (int by = -2; by <= 2; by++) {
            const double m = fmax(1, fmin(16, rint(0.95 * (high - low) / 15) + wider));
            const double shift = m < 4 ? 1 : rint(m / 4);
            const double c = fmax(8 * m - 127, fmin(127 - 7 * m, rint((low + high + m) / 2) + shift * by));
            const double cost = plain_group(s, p, w, first, end, m, c, errors);
            if (cost < least) least = cost, best_m = m, best_c = c;
        }
    plain_group(s, p, w, first, end, best_m, best_c, errors);
}

static double plain_cost_int8(const struct scene *s, const struct plain *p, size_t n) {
    double errors[IN_MAX] = {0};
    for (size_t k = s->in; k-- > 0;) {
        const double w = s->weights[n * s->in + k], scale = scale_of(s, s->before, k, n);
        double x = w;
        for (size_t j = k + 1; j < s->in; j++) x += errors[j] * p->l[j][k];
        errors[k] = w - scale * fmax(-127, fmin(127, rint(x / scale)));
    }
    return cost_of(s, errors);
}

static double plain_cost(const struct scene *s, const struct plain *p, size_t n) {
    double w[IN_MAX], errors[IN_MAX] = {0};
    const double scale = scale_of(s, s->before, 0, n);
    if (s->type == WEIGHT_TYPE_INT8) return plain_cost_int8(s, p, n);
    for (size_t k = 0; k < s->in; k++) w[k] = s->weights[n * s->in + k] / scale;
    for (size_t first = (s->in - 1) / 32 * 32 + 32; first > 0; first -= 32)
        plain_fit(s, p, w, first - 32, errors);
    return cost_of(s, errors) * scale * scale;
}

/* A tie may fall to the other side, and then the rest of the row goes another way: so not row by row. */
static void test_it_is_the_method(void **state) {
    (void)state;
    struct plain *p = malloc(sizeof *p);
    for (size_t i = 0; i < 8; i++) {
        const size_t in = 60 + i / 2 * 80;
        struct scene s;
        double expected = 0, found = 0;
        scene_init(&s, i % 2 ? WEIGHT_TYPE_INT8 : WEIGHT_TYPE_INT4, in, 48, HESSIAN_STRETCH_MAX);
        plain_factor(&s, p);
        for (size_t k = 0; k < in; k++) {
            assert_true(fabs((double)s.factor.weight[k] / p->d[k] - 1) < 1e-3);
            for (size_t j = k + 1; j < in; j++)
                assert_true(fabs((double)s.factor.feedback[k * s.factor.width + j] - p->l[j][k]) < 1e-3);
        }
        round_with(&s, kernel_scalar());
        for (size_t n = 0; n < s.count; n++) {
            if (!has_scale(n)) continue;
            found += row_cost(&s, s.after, n);
            expected += plain_cost(&s, p, n);
        }
        print_message("%zu inputs: %.4f of the error of the plain method\n", in, found / expected);
        assert_true(fabs(found / expected - 1) < 0.03);
        scene_deinit(&s);
    }
    free(p);
}

static void test_inputs_that_are_not_finite(void **state) {
    (void)state;
    struct error e = {0};
    struct scene s;
    scene_init(&s, WEIGHT_TYPE_INT8, 64, 8, HESSIAN_STRETCH_MAX);
    s.x[70] = INFINITY;
    const struct hessian_rows rows = {.x = s.x, .stride = 64, .rows = TOKENS};
    hessian_begin(&s.hessian, 64);
    hessian_add(&s.hessian, &rows, kernel_scalar(), s.workers);
    assert_int_equal(factor_make(&s.factor, &s.hessian, s.workers, &e), STATUS_MALFORMED);
    assert_says(e.text, "not finite");
    scene_deinit(&s);
}

/* Groups of a row whose scales are so far apart that their ratio is no normal float: the small ones stay as they are. */
static void test_groups_that_are_far_apart(void **state) {
    (void)state;
    struct scene s;
    scene_init(&s, WEIGHT_TYPE_INT8, 300, 4, HESSIAN_STRETCH_MAX);
    const size_t group = kernel_int8_group_k(s.in);
    for (size_t i = 0; i < s.count * s.in; i++)
        s.weights[i] = ldexp(s.weights[i], i % s.in < group ? 65 : -65);
    panels_pack(s.type, s.weights, 0, s.count, s.in, s.before);
    round_with(&s, kernel_scalar());
    for (size_t n = 0; n < s.count; n++)
        for (size_t k = group; k < s.in; k++)
            assert_true(stored(&s, s.after, k, n) == stored(&s, s.before, k, n));
    scene_deinit(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_row_is_worse),
        cmocka_unit_test(test_scales_and_other_rows_stay),
        cmocka_unit_test(test_every_set_gives_the_same_bytes),
        cmocka_unit_test(test_it_is_the_method),
        cmocka_unit_test(test_groups_that_are_far_apart),
        cmocka_unit_test(test_inputs_that_are_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
