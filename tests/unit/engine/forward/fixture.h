/* A small model of tests/golden, packed, with a forward pass over it whose stages a test drives one by one. */
#pragma once

#include <math.h>

#include "engine/forward/state.h"
#include "tests/support/folded_place.h"

/* Linears of a block of f32, where the values are in qkv. */
#define F32_BLOCK_LINEARS (BLOCK_LINEARS - 1)

enum { ROWS_MAX = 40, ENTRIES_MAX = 4, PAGE_TOKENS = 16 };

struct fixture {
    struct folded_place place;
    struct packed_model packed;
    struct workers *workers;
    struct kv_pool pool;
    struct kv_table tables[ENTRIES_MAX];
    struct step_entry entries[ENTRIES_MAX];
    struct forward *forward;
};

/* workers: the fixture's from now on. prepare: of the model before it is packed, or NULL. */
static inline void fixture_init_prepared(struct fixture *f, const char *folder, enum norm_form form,
                                         enum weight_type weights, struct workers *workers,
                                         void (*prepare)(struct fixture *f)) {
    struct error e = {0};
    const struct kernel_table *kernels;
    const char *path = folder[0] == '/' ? folder : test_source_path(folder);
    *f = (struct fixture){.workers = workers};
    folded_place_init(&f->place, path, form);
    if (weight_type_is_rotated(weights)) folded_model_rotate(&f->place.folded);
    if (prepare) prepare(f);
    assert_ok(kernel_select(KERNEL_ISA_AUTO, &kernels, &e));
    assert_ok(packed_model_init(&f->packed, &f->place.folded, MATMUL_OWN,
                                packed_types_of(weights, HEAD_WEIGHTS_AUTO), f->workers, NULL, NULL, &e));
    const struct model_description *d = &f->place.description;
    const struct kv_layout layout = {d->layers, d->kv_heads, d->head_dim, PAGE_TOKENS, KV_TYPE_F32};
    size_t pages = kv_pages_for(d->context, PAGE_TOKENS);
    assert_ok(kv_pool_init(&f->pool, &layout, pages * ENTRIES_MAX, &e));
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        assert_ok(kv_table_init(&f->tables[i], pages, &e));
        assert_ok(kv_table_reserve(&f->tables[i], &f->pool, d->context));
    }
    const struct forward_limits limits = {
        .rows_max = ROWS_MAX, .logit_rows_max = ROWS_MAX, .entries_max = ENTRIES_MAX};
    assert_ok(forward_create(&f->packed, &f->pool, kernels, f->workers, &limits, &f->forward, &e));
}

static inline void fixture_init_workers(struct fixture *f, const char *folder, enum norm_form form,
                                        enum weight_type weights, struct workers *workers) {
    fixture_init_prepared(f, folder, form, weights, workers, NULL);
}

static inline void fixture_init_threads(struct fixture *f, const char *folder, enum norm_form form,
                                        size_t threads) {
    struct workers *workers = NULL;
    struct error e = {0};
    assert_ok(workers_create(threads, &workers, &e));
    fixture_init_workers(f, folder, form, WEIGHT_TYPE_F32, workers);
}

static inline void fixture_init(struct fixture *f, const char *folder, enum norm_form form) {
    fixture_init_threads(f, folder, form, 2);
}

static inline void fixture_deinit(struct fixture *f) {
    forward_destroy(f->forward);
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        kv_table_shrink(&f->tables[i], &f->pool, 0);
        kv_table_deinit(&f->tables[i]);
    }
    kv_pool_deinit(&f->pool);
    packed_model_deinit(&f->packed);
    folded_place_deinit(&f->place);
    workers_destroy(f->workers);
}

/* A step of so many entries, laid out as forward_step does; the stages can then be called one by one. Entry i
 * has counts[i] rows from position firsts[i] on, the last logits[i] of which need logits; row r of an entry
 * has token 3 r + 1 + i. */
static inline void fixture_plan(struct fixture *f, size_t entries, const size_t *firsts, const size_t *counts,
                                const size_t *logits) {
    static int32_t tokens[ENTRIES_MAX][ROWS_MAX];
    struct forward *forward = f->forward;
    forward->entries = f->entries;
    forward->entry_count = entries;
    forward->row_count = forward->logit_count = forward->order_at = 0;
    for (size_t i = 0; i < entries; i++) {
        f->entries[i] =
            (struct step_entry){.table = &f->tables[i],
                                .tokens = tokens[i],
                                .first_position = firsts[i],
                                .count = counts[i],
                                .logit_rows = logits[i],
                                .rotary_length = forward_rotary_length(forward, firsts[i] + counts[i])};
        forward->first_row[i] = forward->row_count;
        for (size_t r = 0; r < counts[i]; r++) {
            tokens[i][r] = (int32_t)((3 * r + 1 + i) % 300);
            forward->rows[forward->row_count++] = (struct row_origin){
                .entry = (uint32_t)i, .token = (uint32_t)tokens[i][r], .position = (uint32_t)(firsts[i] + r)};
        }
        forward->logit_count += logits[i];
    }
    forward->first_row[entries] = forward->row_count;
}

/* out = W x + b in double, folded rows. */
static inline void fixture_apply(struct folded_linear *l, const double *x, double *out) {
    double *weights = calloc(l->out * (l->in + 1) + 1, sizeof *weights);
    folded_linear_prepare(l);
    folded_linear_rows(l, 0, l->out, weights, out);
    for (size_t n = 0; n < l->out; n++)
        for (size_t k = 0; k < l->in; k++) out[n] += weights[n * l->in + k] * x[k];
    free(weights);
}

/* A number of about 1 that depends on the seed alone. */
static inline float fixture_number(size_t seed) {
    uint64_t mixed = (seed + 1) * 0x9e3779b97f4a7c15u;
    return (float)(mixed >> 40) / (float)(1 << 23) - 1;
}

/* Largest difference, as a part of the largest expected number. */
static inline double fixture_difference(const float *found, const double *expected, size_t count) {
    double largest = 0, scale = 1e-30;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)found[i] - expected[i]);
        if (!(difference <= largest)) largest = difference;
        if (fabs(expected[i]) > scale) scale = fabs(expected[i]);
    }
    return largest / scale;
}
