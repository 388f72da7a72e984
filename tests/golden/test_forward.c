/* Logits and greedy texts of other implementations, for every golden model, in every norm form that the model
 * has:
 *   - the reference pass in double on the untouched form, against the golden data;
 *   - the reference pass in double on each converted form, and on each form rotated, against the untouched one: the
 *     conversion alone;
 *   - the step over packed weights of every type and cache pages, prefilled in uneven chunks, against the
 *     golden data. */
#include <math.h>

#include "engine/base/memory.h"
#include "engine/fold/quiet.h"
#include "engine/forward/reference.h"
#include "tests/golden/golden_walk.h"

/* In parts of the logits' standard deviation. f32 sums over a width of some thousand err by some 1e-6; the
 * golden data of families err by up to 2e-5 themselves (parts of that library run in float32 in any case). */
#define F32_BOUND       2e-4
#define REFERENCE_BOUND 3e-5
/* Of weights of lower precision the mean difference, as the largest of a random model's says little: of unrelated
 * logits it would be about 1.1. */
static const double mean_bounds[WEIGHT_TYPE_COUNT] = {F32_BOUND, 0.02, 0.05, 0.4};
/* They hold for this many layers, and grow with the number beyond it, as errors do. */
#define BOUNDED_LAYERS 4
/* The conversion in double differs by rounding alone. */
#define CONVERSION_BOUND 1e-9

#define PAGE_TOKENS 16
#define CHUNK       7 /* prime to the page, so that chunks end anywhere in it */

/* Only greedy answers that the reference itself is sure of count; ids without a token are never given out. */
static size_t argmax(const float *logits, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

static double largest_difference(const double *a, const float *b, size_t count) {
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs(a[i] - (double)b[i]);
        if (!(difference <= largest)) largest = difference;
    }
    return largest;
}

/* ---- double ---- */

/* With quiet channels, where the stream is rotated. */
static void rotate(struct folded_model *c) {
    struct error e = {0};
    struct workers *workers;
    folded_model_rotate(c);
    if (!c->stream.order) return;
    c->quiet[0] = c->stream_width - 1;
    c->quiet[1] = c->stream_width / 2;
    c->quiet_count = 2;
    assert_ok(workers_create(1, &workers, &e));
    assert_ok(folded_model_quieten(c, workers, &e));
    workers_destroy(workers);
}

/* Logits of each sequence, [count, vocabulary]; the caller frees them with free_logits(). */
static double **double_logits(const char *path, enum norm_form form, bool rotated, const struct golden *g) {
    struct error e = {0};
    struct loaded_model model;
    double **logits = malloc(g->sequence_count * sizeof *logits);
    walk_load(&model, path, form, MATMUL_OWN, WEIGHT_TYPE_F32);
    if (rotated) rotate(&model.folded);
    for (size_t i = 0; i < g->sequence_count; i++) {
        const struct golden_sequence *s = &g->sequences[i];
        logits[i] = malloc(s->count * g->vocabulary * sizeof **logits);
        assert_ok(reference_logits(&model.folded, s->ids, s->count, logits[i], &e));
    }
    loaded_model_deinit(&model);
    return logits;
}

static void free_logits(double **logits, const struct golden *g) {
    for (size_t i = 0; i < g->sequence_count; i++) free(logits[i]);
    free(logits);
}

/* The conversion to a form, and a rotation behind it, in double. */
static void check_conversion(const char *path, const char *name, const struct golden *g, enum norm_form form,
                             bool rotated, double *const *untouched) {
    double **folded = double_logits(path, form, rotated, g);
    for (size_t i = 0; i < g->sequence_count; i++) {
        const struct golden_sequence *s = &g->sequences[i];
        double largest = 0;
        for (size_t k = 0; k < s->count * g->vocabulary; k++)
            largest = fmax(largest, fabs(folded[i][k] - untouched[i][k]));
        print_message("  %s sequence %zu: %s%s in double %.2g\n", name, i, norm_form_name(form),
                      rotated ? " rotated" : "", largest / s->deviation);
        assert_true(largest / s->deviation <= CONVERSION_BOUND);
    }
    free_logits(folded, g);
}

static void check_reference(const char *path, const char *name, const struct golden *g,
                            const struct model_description *d) {
    double **untouched = double_logits(path, NORM_FORM_LAYERNORM, false, g);
    for (size_t i = 0; i < g->sequence_count; i++) {
        const struct golden_sequence *s = &g->sequences[i];
        double difference =
            largest_difference(untouched[i], s->logits, s->count * g->vocabulary) / s->deviation;
        print_message("  %s sequence %zu: reference %.2g of the deviation\n", name, i, difference);
        assert_true(difference <= REFERENCE_BOUND);
    }
    for (enum norm_form form = NORM_FORM_LAYERNORM; form < NORM_FORM_COUNT; form++) {
        if (norm_form_for(d, form) != form) continue;
        if (form != NORM_FORM_LAYERNORM) check_conversion(path, name, g, form, false, untouched);
        if (walk_runs(form % 2, 2)) check_conversion(path, name, g, form, true, untouched);
    }
    free_logits(untouched, g);
}

/* ---- f32 ---- */

/* One sequence on its own pages. */
struct fast {
    struct loaded_model model;
    struct kv_pool pool;
    struct kv_table table;
    struct forward *forward;
};

static void fast_init(struct fast *f, const char *path, enum norm_form form, enum matmul_kind matmul,
                      enum weight_type type, enum kv_type cache) {
    struct error e = {0};
    walk_load(&f->model, path, form, matmul, type);
    const struct model_description *d = &f->model.description;
    struct kv_layout layout = {d->layers, d->kv_heads, d->head_dim, PAGE_TOKENS, cache};
    size_t pages = (d->context + PAGE_TOKENS - 1) / PAGE_TOKENS;
    assert_ok(kv_pool_init(&f->pool, &layout, pages, &e));
    assert_ok(kv_table_init(&f->table, pages, &e));
    struct forward_limits limits = {.rows_max = CHUNK, .logit_rows_max = CHUNK, .entries_max = 1};
    assert_ok(
        forward_create(&f->model.packed, &f->pool, walk_kernels, walk_workers, &limits, &f->forward, &e));
}

static void fast_deinit(struct fast *f) {
    forward_destroy(f->forward);
    kv_table_shrink(&f->table, &f->pool, 0);
    kv_table_deinit(&f->table);
    kv_pool_deinit(&f->pool);
    loaded_model_deinit(&f->model);
}

/* Runs ids [first, +count); logits of all rows are then in the step. */
static void fast_step(struct fast *f, const int32_t *ids, size_t first, size_t count, size_t length) {
    struct error e = {0};
    assert_ok(kv_table_reserve(&f->table, &f->pool, first + count));
    struct step_entry entry = {
        .table = &f->table,
        .tokens = ids + first,
        .first_position = first,
        .count = count,
        .logit_rows = count,
        .rotary_length = forward_rotary_length(f->forward, length),
    };
    forward_step(f->forward, &entry, 1);
}

struct difference {
    double largest, mean; /* in parts of the logits' deviation */
};

static struct difference sequence_difference(struct fast *f, const struct golden_sequence *s,
                                             size_t vocabulary) {
    double largest = 0, sum = 0;
    for (size_t first = 0; first < s->count; first += CHUNK) {
        size_t count = s->count - first < CHUNK ? s->count - first : CHUNK;
        fast_step(f, s->ids, first, count, s->count);
        for (size_t r = 0; r < count; r++)
            for (size_t k = 0; k < vocabulary; k++) {
                double golden = s->logits[(first + r) * vocabulary + k];
                double difference = fabs((double)forward_logits(f->forward, r)[k] - golden);
                if (!(difference <= largest)) largest = difference;
                sum += difference;
            }
    }
    kv_table_shrink(&f->table, &f->pool, 0);
    return (struct difference){.largest = largest / s->deviation,
                               .mean = sum / (double)(s->count * vocabulary) / s->deviation};
}

/* How far the largest logit stands above the next. */
static double margin(const float *logits, size_t count, size_t best) {
    double second = -INFINITY;
    for (size_t i = 0; i < count; i++)
        if (i != best && (double)logits[i] > second) second = (double)logits[i];
    return (double)logits[best] - second;
}

/* Along the golden tokens. Where the largest logit stands out by more than twice what logits may be off, it
 * has to be the golden one; with f32 it always does. */
static void check_greedy(struct fast *f, const struct golden_greedy *g, size_t tokenizer_vocabulary,
                         double error) {
    size_t length = g->prompt_count + g->count;
    int32_t *ids = calloc(length, sizeof *ids);
    memcpy(ids, g->prompt, g->prompt_count * sizeof *ids);
    memcpy(ids + g->prompt_count, g->tokens, g->count * sizeof *ids);
    for (size_t i = 0; i < g->prompt_count; i++) fast_step(f, ids, i, 1, length);
    for (size_t i = 0; i < g->count; i++) {
        const float *logits = forward_logits(f->forward, 0);
        size_t best = argmax(logits, tokenizer_vocabulary);
        if (error == 0 || margin(logits, tokenizer_vocabulary, best) > 2 * error)
            assert_int_equal(best, g->tokens[i]);
        if (i + 1 < g->count) fast_step(f, ids, g->prompt_count + i, 1, length);
    }
    kv_table_shrink(&f->table, &f->pool, 0);
    free(ids);
}

static void check_form(const char *path, const char *name, const struct golden *g, enum norm_form form,
                       enum matmul_kind matmul, enum weight_type type) {
    struct fast fast;
    double largest = 0;
    fast_init(&fast, path, form, matmul, type, KV_TYPE_F32);
    double depth = fmax(1, (double)fast.model.description.layers / BOUNDED_LAYERS);
    for (size_t i = 0; i < g->sequence_count; i++) {
        struct difference d = sequence_difference(&fast, &g->sequences[i], g->vocabulary);
        print_message("  %s sequence %zu: %s in %s%s: mean %.2g, largest %.2g\n", name, i,
                      norm_form_name(form), weight_type_name(type),
                      matmul == MATMUL_OPENBLAS ? " by OpenBLAS" : "", d.mean, d.largest);
        if (type == WEIGHT_TYPE_F32) assert_true(d.largest <= F32_BOUND);
        assert_true(d.mean <= mean_bounds[type] * depth);
        largest = fmax(largest, d.largest * g->sequences[i].deviation);
    }
    double error = type == WEIGHT_TYPE_F32 ? 0 : largest;
    for (size_t i = 0; i < g->greedy_count; i++)
        check_greedy(&fast, &g->greedy[i], g->tokenizer_vocabulary, error);
    fast_deinit(&fast);
}

/* What a narrower cache alone changes; twice the largest mean differences that were seen. */
static void check_cache(const char *path, const char *name, const struct golden *g, enum norm_form form,
                        enum kv_type cache) {
    static const double mean_bounds_of_cache[KV_TYPE_COUNT] = {F32_BOUND, 2e-3, 2e-2, 3e-2};
    struct fast fast;
    fast_init(&fast, path, form, MATMUL_OWN, WEIGHT_TYPE_F32, cache);
    for (size_t i = 0; i < g->sequence_count; i++) {
        struct difference d = sequence_difference(&fast, &g->sequences[i], g->vocabulary);
        print_message("  %s sequence %zu: cache in %s: mean %.2g, largest %.2g\n", name, i,
                      kv_type_name(cache), d.mean, d.largest);
        assert_true(d.mean <= mean_bounds_of_cache[cache]);
    }
    fast_deinit(&fast);
}

static void check_model(const char *path, const char *name, void *context) {
    (void)context;
    struct golden g;
    if (walk_skips(name)) { /* test_batch_bits.c has all models there */
        walk_models++;
        return;
    }
    print_message("%s\n", name);
    golden_init(&g, path);
    struct loaded_model model;
    walk_load(&model, path, NORM_FORM_LAYERNORM, MATMUL_OWN, WEIGHT_TYPE_F32);
    const struct model_description *d = &model.description;
    check_reference(path, name, &g, d);
    for (enum norm_form form = 0; form < NORM_FORM_COUNT; form++)
        if (norm_form_for(d, form) == form) check_form(path, name, &g, form, MATMUL_OWN, WEIGHT_TYPE_F32);
    if (walk_runs(0, 2))
        check_form(path, name, &g, norm_form_for(d, NORM_FORM_CRMSNORM), MATMUL_OPENBLAS, WEIGHT_TYPE_F32);
    enum norm_form form = norm_form_for(d, NORM_FORM_ORTHONORMAL); /* as low-precision weights run in */
    loaded_model_deinit(&model);
    for (enum weight_type type = WEIGHT_TYPE_BF16; type < WEIGHT_TYPE_COUNT; type++)
        if (walk_runs(type - WEIGHT_TYPE_BF16, WEIGHT_TYPE_COUNT - WEIGHT_TYPE_BF16))
            check_form(path, name, &g, form, MATMUL_OWN, type);
    for (enum kv_type cache = KV_TYPE_F16; cache < KV_TYPE_COUNT; cache++)
        if (walk_runs(cache - KV_TYPE_F16, KV_TYPE_COUNT - KV_TYPE_F16))
            check_cache(path, name, &g, form, cache);
    golden_deinit(&g);
    walk_models++;
}

static void test_all_models(void **state) {
    (void)state;
    assert_true(golden_each(check_model, NULL) >= 3);
}

/* Adapters on such models, merged. */
static void test_all_adapters(void **state) {
    (void)state;
    assert_true(golden_each_adapter(check_model, NULL) >= 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_models),
                                       cmocka_unit_test(test_all_adapters)};
    return cmocka_run_group_tests(tests, walk_setup, walk_teardown);
}
