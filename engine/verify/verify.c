#include "engine/verify/verify.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/memory.h"
#include "engine/types/limits.h"

const char verify_sample_text[] =
    "The ferry left at six. By the time the fog lifted, the island was a line of grey hills with one "
    "white house on the nearest of them, and the children had already counted eleven seals. \"Twelve,\" "
    "said the youngest, who was not sure of anything above nine. Nobody argued; there was bread and "
    "cheese, and the engine made talking hard work.\n\n"
    "At the landing stage an old man was mending nets. He looked up, as he did every morning, and asked "
    "what news there was from the town. There was none, or none that he would have called news: the "
    "price of coal had gone up by 4 per cent, the bridge would be closed until the 17th of March, and "
    "the mayor's dog had been found, asleep, in the library.\n\n"
    "for (int i = 0; i < 10; i++) { total += prices[i] * 1.07; }  // with tax\n\n"
    "Le vent se l\u00e8ve \u2014 il faut tenter de vivre. Gr\u00fc\u00dfe aus K\u00f6ln! "
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440. \u4f60\u597d\uff0c\u4e16\u754c\u3002\n\n"
    "When they asked him what a harbour is for, he answered that it is a place where ships may be safe, "
    "but that ships were not built to lie in harbours. Then he laughed, because he had not been out of "
    "sight of the land for forty years, and went back to his nets.\n";

int32_t verify_sample_id(size_t index, size_t vocabulary) {
    const size_t stride = 7919; /* a prime, so that an id comes back late */
    return (int32_t)((index + 1) * stride % vocabulary);
}

/* Rows that a packed model runs at a time. */
#define CHUNK       64
#define PAGE_TOKENS KV_PAGE_TOKENS_STEP

/* ---- one row of logits against the reference's ---- */

struct sums {
    double largest, difference, kl, log_likelihood;
    double loss, loss_squares; /* of log likelihood against the reference, over the predicted tokens */
    size_t logits, rows, agreed, predicted;
};

/* log of the sum of exponentials; *best is the index of the largest. */
static double log_sum(const double *logits, size_t count, size_t *best) {
    double sum = 0;
    *best = 0;
    for (size_t i = 1; i < count; i++)
        if (logits[i] > logits[*best]) *best = i;
    for (size_t i = 0; i < count; i++) sum += exp(logits[i] - logits[*best]);
    return logits[*best] + log(sum);
}

/* The token that follows `index` in its window, or -1. */
static int32_t next_token(const struct verify_reference *r, size_t index) {
    bool last = index + 1 == r->count || (index + 1) % r->window == 0;
    return last ? -1 : r->ids[index + 1];
}

/* A token that the head's bias rules out, in both: there is nothing to compare. */
static bool never_comes(double expected, double logit) {
    return expected == -INFINITY && logit == -INFINITY;
}

static void compare_row(const struct verify_reference *r, size_t index, const double *logits,
                        struct sums *s) {
    const double *expected = r->logits + index * r->vocabulary;
    size_t best, expected_best;
    double norm = log_sum(logits, r->vocabulary, &best),
           expected_norm = log_sum(expected, r->vocabulary, &expected_best);
    int32_t next = next_token(r, index);
    for (size_t i = 0; i < r->vocabulary; i++) {
        if (never_comes(expected[i], logits[i])) continue;
        double difference = fabs(logits[i] - expected[i]), log_probability = expected[i] - expected_norm;
        if (!(difference <= s->largest)) s->largest = difference; /* a NaN counts as the largest */
        s->difference += difference;
        s->kl += exp(log_probability) * (log_probability - (logits[i] - norm));
        s->logits++;
    }
    s->rows++;
    s->agreed += best == expected_best;
    if (next >= 0 && !never_comes(expected[next], logits[next])) {
        double loss = (expected[next] - expected_norm) - (logits[next] - norm);
        s->log_likelihood += logits[next] - norm;
        s->loss += loss;
        s->loss_squares += loss * loss;
        s->predicted++;
    }
}

/* Standard error of the mean loss. */
static double loss_error(const struct sums *s) {
    double n = (double)s->predicted, mean = s->loss / n;
    if (s->predicted < 2) return INFINITY;
    return sqrt(fmax(0, s->loss_squares / n - mean * mean) / (n - 1));
}

static struct verify_figures figures_of(const struct verify_reference *r, const struct sums *s) {
    return (struct verify_figures){
        .largest = s->largest / r->deviation,
        .mean = s->difference / (double)s->logits / r->deviation,
        .kl = s->kl / (double)s->rows,
        .agreement = (double)s->agreed / (double)s->rows,
        .perplexity = s->predicted ? exp(-s->log_likelihood / (double)s->predicted) : NAN,
        .rise = s->predicted ? expm1(s->loss / (double)s->predicted) : NAN,
        .rise_error = loss_error(s),
    };
}

enum weight_type verify_judged_as(enum weight_type weights, enum kv_type cache) {
    static const enum weight_type as_narrow[KV_TYPE_COUNT] = {WEIGHT_TYPE_F32, WEIGHT_TYPE_BF16,
                                                              WEIGHT_TYPE_BF16, WEIGHT_TYPE_INT8};
    return as_narrow[cache] > weights ? as_narrow[cache] : weights;
}

double verify_default_bound(enum weight_type type) {
    static const double bounds[WEIGHT_TYPE_COUNT] = {VERIFY_BOUND_F32, VERIFY_RISE_BF16, VERIFY_RISE_INT8,
                                                     VERIFY_RISE_INT4};
    return bounds[type];
}

bool verify_is_within(enum weight_type type, const struct verify_figures *figures, double bound) {
    if (type == WEIGHT_TYPE_F32) return figures->largest <= bound;
    return figures->rise - VERIFY_ERRORS_ALLOWED * figures->rise_error <= bound &&
           figures->kl <= VERIFY_KL_SHARE * bound;
}

/* ---- the reference ---- */

size_t verify_reference_bytes(const struct model_description *d, size_t count) {
    return count * d->vocabulary * sizeof(double);
}

/* Of the logits of tokens that may come. */
static void set_deviation(struct verify_reference *r) {
    size_t n = 0;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < r->count * r->vocabulary; i++) {
        if (r->logits[i] == -INFINITY) continue;
        sum += r->logits[i];
        n++;
    }
    double mean = sum / (double)n;
    for (size_t i = 0; i < r->count * r->vocabulary; i++)
        if (r->logits[i] != -INFINITY) squares += (r->logits[i] - mean) * (r->logits[i] - mean);
    r->deviation = sqrt(squares / (double)n);
}

static size_t window_at(const struct verify_reference *r, size_t first) {
    return r->count - first < r->window ? r->count - first : r->window;
}

enum status verify_reference_init(struct verify_reference *r, const struct tensor_views *views,
                                  const int32_t *ids, size_t count, size_t window, struct error *e) {
    *r = (struct verify_reference){.ids = ids, .count = count, .window = window};
    r->vocabulary = views->description->vocabulary;
    r->logits = memory_aligned(count * r->vocabulary, sizeof(double), "logits of the reference", e);
    struct folded_model untouched = {0};
    enum status status =
        r->logits ? folded_model_init(&untouched, views, NORM_FORM_LAYERNORM, e) : STATUS_NO_MEMORY;
    for (size_t first = 0; first < count && status == STATUS_OK; first += window)
        status = reference_logits(&untouched, ids + first, window_at(r, first),
                                  r->logits + first * r->vocabulary, e);
    folded_model_deinit(&untouched);
    if (status != STATUS_OK) return status;
    set_deviation(r);
    struct sums sums = {0};
    for (size_t i = 0; i < count; i++) compare_row(r, i, r->logits + i * r->vocabulary, &sums);
    r->perplexity = figures_of(r, &sums).perplexity;
    return STATUS_OK;
}

void verify_reference_deinit(struct verify_reference *r) {
    free(r->logits);
    r->logits = NULL;
}

enum status verify_folded(const struct verify_reference *r, const struct tensor_views *views,
                          enum norm_form form, struct verify_figures *out, struct error *e) {
    struct folded_model folded = {0};
    struct sums sums = {0};
    double *logits = memory_aligned(r->window * r->vocabulary, sizeof *logits, "logits", e);
    enum status status = logits ? folded_model_init(&folded, views, form, e) : STATUS_NO_MEMORY;
    for (size_t first = 0; first < r->count && status == STATUS_OK; first += r->window) {
        size_t rows = window_at(r, first);
        status = reference_logits(&folded, r->ids + first, rows, logits, e);
        for (size_t i = 0; i < rows && status == STATUS_OK; i++)
            compare_row(r, first + i, logits + i * r->vocabulary, &sums);
    }
    if (status == STATUS_OK) *out = figures_of(r, &sums);
    folded_model_deinit(&folded);
    free(logits);
    return status;
}

/* ---- what runs ---- */

/* A cache for one window, and a forward pass on it. */
struct runner {
    struct kv_pool pool;
    struct kv_table table;
    struct forward *forward;
    double *row; /* [vocabulary] */
};

static enum status runner_init(struct runner *run, const struct verify_reference *r,
                               const struct packed_model *model, enum kv_type cache,
                               const struct kernel_table *kernels, struct workers *workers, struct error *e) {
    const struct model_description *d = model->description;
    struct kv_layout layout = {d->layers, d->kv_heads, d->head_dim, PAGE_TOKENS, cache};
    struct forward_limits limits = {.rows_max = CHUNK, .logit_rows_max = CHUNK, .entries_max = 1};
    size_t pages = (r->window + PAGE_TOKENS - 1) / PAGE_TOKENS;
    *run = (struct runner){0};
    enum status status = kv_pool_init(&run->pool, &layout, pages, e);
    if (status == STATUS_OK) status = kv_table_init(&run->table, pages, e);
    if (status == STATUS_OK)
        status = forward_create(model, &run->pool, kernels, workers, &limits, &run->forward, e);
    run->row = memory_aligned(r->vocabulary, sizeof *run->row, "logits", e);
    return status == STATUS_OK && !run->row ? STATUS_NO_MEMORY : status;
}

static void runner_deinit(struct runner *run) {
    forward_destroy(run->forward);
    if (run->table.pages) kv_table_shrink(&run->table, &run->pool, 0);
    kv_table_deinit(&run->table);
    if (run->pool.memory) kv_pool_deinit(&run->pool);
    free(run->row);
}

static enum status run_window(struct runner *run, const struct verify_reference *r, size_t start,
                              struct sums *sums) {
    size_t length = window_at(r, start);
    kv_table_shrink(&run->table, &run->pool, 0);
    enum status status = kv_table_reserve(&run->table, &run->pool, length);
    for (size_t first = 0; first < length && status == STATUS_OK; first += CHUNK) {
        size_t count = length - first < CHUNK ? length - first : CHUNK;
        struct step_entry entry = {
            .table = &run->table,
            .tokens = r->ids + start + first,
            .first_position = first,
            .count = count,
            .logit_rows = count,
            .rotary_length = forward_rotary_length(run->forward, length),
        };
        forward_step(run->forward, &entry, 1);
        for (size_t i = 0; i < count; i++) {
            const float *logits = forward_logits(run->forward, i);
            for (size_t k = 0; k < r->vocabulary; k++) run->row[k] = logits[k];
            compare_row(r, start + first + i, run->row, sums);
        }
    }
    return status;
}

enum status verify_packed(const struct verify_reference *r, const struct packed_model *model,
                          enum kv_type cache, const struct kernel_table *kernels, struct workers *workers,
                          struct verify_figures *out, struct error *e) {
    struct runner run;
    struct sums sums = {0};
    enum status status = runner_init(&run, r, model, cache, kernels, workers, e);
    for (size_t first = 0; first < r->count && status == STATUS_OK; first += r->window)
        status = run_window(&run, r, first, &sums);
    if (status == STATUS_OK) *out = figures_of(r, &sums);
    runner_deinit(&run);
    return status;
}
