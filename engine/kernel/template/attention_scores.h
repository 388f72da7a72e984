/* The first two steps of a span (attention.h): scores of all queries, then the running softmax of each, block by block. */
#pragma once

#include "engine/kernel/template/attention_tile.h"
#include "engine/kernel/template/vector_math.h"

#ifndef ATTENTION_SCORE_ACCUMULATORS
#error "define ATTENTION_SCORE_ACCUMULATORS: vectors of scores that are in registers at once (a power of two)"
#endif

/* Dot products of `queries` queries with the 16 keys of each of `blocks` blocks; these, the type and whether it
 * prefetches are constants where this is inlined, so that all accumulators live in registers. */
VECTOR_INLINE void attention_dots(struct attention_tile *t, enum kv_type type, size_t query, size_t queries,
                                  size_t block, size_t blocks, bool prefetches) {
    const size_t head_dim = t->a->head_dim;
    const float *q[ATTENTION_SCORE_ACCUMULATORS];
    const size_t line = KERNEL_ALIGN / (KERNEL_LANES * kv_type_bytes(type)); /* elements of it */
    const unsigned char *keys[ATTENTION_SPAN], *ahead[ATTENTION_SPAN];
    struct vector sum[ATTENTION_SCORE_ACCUMULATORS];
    KERNEL_EACH (i, queries) q[i] = t->query[query + i].q;
    KERNEL_EACH (b, blocks) {
        keys[b] = t->keys[block + b];
        ahead[b] = block + b < t->ahead_count ? t->ahead_keys[block + b] : keys[b];
    }
    KERNEL_EACH (c, queries * blocks) sum[c] = vector_splat(0.0f);
    for (size_t d = 0; d < head_dim; d++) {
        const size_t at = d * KERNEL_LANES * kv_type_bytes(type);
        KERNEL_EACH (b, blocks) {
            if (prefetches && d % line == 0) attention_prefetch_line(type, ahead[b] + at);
            const struct vector key = attention_load(type, keys[b], d * KERNEL_LANES, KERNEL_LANES);
            KERNEL_EACH (i, queries) {
                const size_t c = i * blocks + b;
                sum[c] = vector_fma(vector_splat(q[i][d]), key, sum[c]);
            }
        }
    }
    KERNEL_EACH (i, queries) {
        KERNEL_EACH (b, blocks) vector_store(t->weight[query + i][block + b], sum[i * blocks + b]);
    }
}

/* As many queries and blocks at once as there are accumulators, in powers of two. dots: attention_dots, or what takes its
 * place; a constant too. */
typedef void attention_dots_fn(struct attention_tile *t, enum kv_type type, size_t query, size_t queries,
                               size_t block, size_t blocks, bool prefetches);

VECTOR_INLINE void attention_dots_blocks(struct attention_tile *t, attention_dots_fn *dots, enum kv_type type,
                                         size_t query, size_t queries, bool prefetches) {
    const size_t together = ATTENTION_SCORE_ACCUMULATORS / queries < ATTENTION_SPAN
                                ? ATTENTION_SCORE_ACCUMULATORS / queries
                                : ATTENTION_SPAN;
    const struct attention_blocks seen = attention_blocks_of(t, query, queries);
    size_t block = seen.first;
    for (; block + together <= seen.end; block += together)
        dots(t, type, query, queries, block, together, prefetches);
    for (; block < seen.end; block++) dots(t, type, query, queries, block, 1, prefetches);
}

VECTOR_INLINE void attention_dots_from(struct attention_tile *t, enum kv_type type, size_t query,
                                       size_t queries) {
    if (attention_prefetches(t, query))
        attention_dots_blocks(t, attention_dots, type, query, queries, true);
    else
        attention_dots_blocks(t, attention_dots, type, query, queries, false);
}

VECTOR_INLINE void attention_dots_of(struct attention_tile *t, size_t query, size_t queries) {
    switch (t->type) {
    case KV_TYPE_F16:
        attention_dots_from(t, KV_TYPE_F16, query, queries);
        break;
    case KV_TYPE_INT8:
        attention_dots_from(t, KV_TYPE_INT8, query, queries);
        break;
    case KV_TYPE_F32:
    case KV_TYPE_BF16: /* attention_bf16.h */
    case KV_TYPE_COUNT:
        attention_dots_from(t, KV_TYPE_F32, query, queries);
        break;
    }
}

/* Not inlined, so that each has all registers for itself. */
#if ATTENTION_SCORE_ACCUMULATORS >= 16
static __attribute__((noinline)) void attention_dots_of_8(struct attention_tile *t, size_t query) {
    attention_dots_of(t, query, 8);
}
#endif

static __attribute__((noinline)) void attention_dots_of_4(struct attention_tile *t, size_t query) {
    attention_dots_of(t, query, 4);
}

static __attribute__((noinline)) void attention_dots_of_2(struct attention_tile *t, size_t query) {
    attention_dots_of(t, query, 2);
}

static __attribute__((noinline)) void attention_dots_of_1(struct attention_tile *t, size_t query) {
    attention_dots_of(t, query, 1);
}

static void attention_all_dots(struct attention_tile *t) {
    size_t query = 0;
#if ATTENTION_SCORE_ACCUMULATORS >= 16
    for (; query + 8 <= t->count; query += 8) attention_dots_of_8(t, query);
#endif
    for (; query + 4 <= t->count; query += 4) attention_dots_of_4(t, query);
    for (; query + 2 <= t->count; query += 2) attention_dots_of_2(t, query);
    for (; query < t->count; query++) attention_dots_of_1(t, query);
}

/* From the dot products of a query and a block to its scores: scale, bias, and -inf for keys that it does not
 * see. plain: it sees all, and there is neither cap nor bias. */
VECTOR_INLINE struct vector attention_scores(const struct attention *a, const struct attention_query *query,
                                             size_t block, struct attention_view view, struct vector dots,
                                             bool plain) {
    struct vector scores = vector_multiply(vector_splat(a->scale), dots);
    if (plain) return scores;
    if (a->score_cap > 0) scores = vector_soft_cap(scores, a->score_cap, 1.0f / a->score_cap);
    if (query->alibi) {
        struct vector bias = vector_load_first(query->alibi + block * KERNEL_LANES, view.end);
        scores = vector_add(scores, vector_subtract(bias, vector_splat(query->alibi[query->position])));
    }
    if (attention_sees_all(view)) return scores;
    return vector_select(mask_range(view.first, view.end), scores, vector_splat(-INFINITY));
}

/* From dot products to weights, in three steps for all queries of a tile, free of branches that depend on
 * scores. */
/* First the scores, and the running maximum before and after each block. */
VECTOR_INLINE void attention_set_maxima(struct attention_tile *t, size_t i, bool plain) {
    struct vector scores[ATTENTION_SPAN];
    float in_block[ATTENTION_SPAN], highest = t->query[i].chunk.largest;
    KERNEL_EACH (b, ATTENTION_SPAN) {
        scores[b] = vector_splat(-INFINITY);
        if (plain || (b < t->blocks && t->view[i][b].end > 0)) {
            struct vector dots = vector_load(t->weight[i][b]);
            if (t->key_scales[b]) dots = vector_multiply(dots, vector_load(t->key_scales[b]));
            scores[b] = attention_scores(t->a, &t->query[i], t->first_block + b, t->view[i][b], dots, plain);
            vector_store(t->weight[i][b], scores[b]);
        }
    }
    vector_largest_of_four(scores, in_block);
    KERNEL_EACH (b, ATTENTION_SPAN) {
        t->before[i][b] = highest;
        highest = in_block[b] > highest ? in_block[b] : highest;
        t->largest[i][b] = highest;
    }
    t->query[i].chunk.largest = highest;
}

/* Then all factors at once: e^(old - new maximum), 1 where it did not rise: where nothing was seen yet both are -inf. */
static void attention_set_factors(struct attention_tile *t) {
    for (size_t i = t->count; i % (KERNEL_LANES / ATTENTION_SPAN) != 0; i++) /* all of a vector is computed */
        KERNEL_EACH (b, ATTENTION_SPAN) t->before[i][b] = t->largest[i][b] = 0.0f;
    const float *largest = t->largest[0], *before = t->before[0];
    float *factors = t->factor[0];
    for (size_t i = 0; i < t->count * ATTENTION_SPAN; i += KERNEL_LANES) {
        const struct vector now = vector_load(largest + i), then = vector_load(before + i);
        const struct vector fall = vector_subtract(then, now);
        vector_store(factors + i,
                     vector_exp_of_fall(vector_select(vector_greater(now, then), fall, vector_splat(0.0f))));
    }
}

/* At last the weights and their sums. */
VECTOR_INLINE void attention_weigh(struct attention_tile *t, size_t i, bool plain) {
    struct vector sums = t->query[i].chunk.sums;
    KERNEL_EACH (b, ATTENTION_SPAN) {
        if (!plain && (b >= t->blocks || t->view[i][b].end == 0)) continue;
        struct vector scores = vector_load(t->weight[i][b]);
        struct vector weights = vector_exp_of_fall(vector_subtract(scores, vector_splat(t->largest[i][b])));
        sums = vector_add(vector_multiply(sums, vector_splat(t->factor[i][b])), weights);
        if (t->value_scales[b]) weights = vector_multiply(weights, vector_load(t->value_scales[b]));
        vector_store(t->weight[i][b], weights);
    }
    t->query[i].chunk.sums = sums;
}

_Static_assert(ATTENTION_SPAN == 4, "as vector_largest_of_four takes them");

/* Most queries see all of most spans. */
static bool attention_is_plain(const struct attention_tile *t, size_t i) {
    return t->sees_all[i] == (1u << ATTENTION_SPAN) - 1 && !(t->a->score_cap > 0) && !t->query[i].alibi;
}

static __attribute__((noinline)) void attention_softmax(struct attention_tile *t) {
    for (size_t i = 0; i < t->count; i++) {
        if (attention_is_plain(t, i))
            attention_set_maxima(t, i, true);
        else
            attention_set_maxima(t, i, false);
    }
    attention_set_factors(t);
    for (size_t i = 0; i < t->count; i++) {
        if (attention_is_plain(t, i))
            attention_weigh(t, i, true);
        else
            attention_weigh(t, i, false);
    }
}
