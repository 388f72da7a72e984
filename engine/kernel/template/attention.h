/* Attention over the paged cache, once for every instruction set (see vector_scalar.h; the including file
 * also defines the sizes of its register tiles).
 *
 * A query is one head of one row; queries are numbered row * group + head, so positions ascend. A tile of
 * queries goes together over the keys, a span of blocks at a time, and each span is done in three steps:
 * scores of all, the running softmax of each query block by block, weighted values of all. What is computed
 * for a query, and in which order, does not depend on its tile: blocks start at absolute positions, a block
 * where a query sees no key is skipped for it, and a key that it does not see is not added. The running state
 * stands on the stack and in the rows of `out`. */
#pragma once

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/kernel/template/attention_places.h"
#include "engine/kernel/template/vector_math.h"

#ifndef ATTENTION_SCORE_ACCUMULATORS
#error "define ATTENTION_SCORE_ACCUMULATORS: vectors of scores that are in registers at once (a power of two)"
#endif
#ifndef ATTENTION_VALUE_QUERIES
#error "define ATTENTION_VALUE_QUERIES and ATTENTION_VALUE_VECTORS: the register tile of the weighted values"
#endif

#define ATTENTION_QUERIES 8 /* of a tile */
#define ATTENTION_SPAN    4 /* blocks of a span */

/* The keys of one block that a query sees: lanes first <= lane < end; none when both are 0. */
struct attention_view {
    size_t first, end;
};

struct attention_query {
    const float *q;
    float *out;
    const float *alibi; /* of its head, or NULL */
    size_t position;
    size_t oldest; /* first position that it sees */
    float largest; /* of the scores so far */
    struct vector sums;
};

/* Keys and values that will be read soon. Blocks lie anywhere, and the hardware prefetcher stops at the end
 * of a page: a line of each is prefetched in turn, so that several streams are read at once, a few of them
 * with each step of the inner loops, so that memory is never idle. */
#define ATTENTION_PREFETCH_STEPS 4 /* of an inner loop, from one prefetch to the next */
struct attention_prefetch {
    const unsigned char *part[2 * ATTENTION_SPAN];
    size_t parts, bytes; /* bytes of each */
    size_t next, offset; /* part and byte of it that are prefetched next */
    size_t lines;        /* to prefetch at a step */
};

struct attention_tile {
    const struct attention *a;
    struct attention_prefetch prefetch;
    size_t count; /* queries */
    struct attention_query query[ATTENTION_QUERIES];

    size_t blocks; /* of this span */
    size_t first_block;
    const unsigned char *keys[ATTENTION_SPAN], *values[ATTENTION_SPAN];     /* of the cache's type */
    const float *key_scales[ATTENTION_SPAN], *value_scales[ATTENTION_SPAN]; /* NULL but for int8 */
    /* Per query and block: scores, then weights (with the values' scales in them); the factor that the values
     * so far are to be multiplied by. */
    _Alignas(KERNEL_ALIGN) float weight[ATTENTION_QUERIES][ATTENTION_SPAN][KERNEL_LANES];
    _Alignas(KERNEL_ALIGN) float factor[ATTENTION_QUERIES][ATTENTION_SPAN];
    struct attention_view view[ATTENTION_QUERIES][ATTENTION_SPAN];
};

static void attention_set_query(struct attention_query *query, const struct attention *a, size_t index) {
    size_t row = index / a->group, head = index % a->group;
    query->q = a->q + row * a->q_stride + head * a->head_dim;
    query->out = a->out + row * a->out_stride + head * a->head_dim;
    query->position = a->first_position + row;
    query->alibi = a->alibi ? a->alibi + head * a->alibi_stride : NULL;
    if (a->alibi && a->alibi_last) query->alibi += a->alibi_last - query->position;
    query->oldest = attention_oldest(a, query->position);
    query->largest = -INFINITY;
    query->sums = vector_splat(0.0f);
    memset(query->out, 0, a->head_dim * sizeof(float));
}

static struct attention_view attention_view_of(const struct attention_query *query, size_t block) {
    size_t start = block * KERNEL_LANES, end = start + KERNEL_LANES;
    size_t first = query->oldest > start ? query->oldest : start;
    if (query->position + 1 < end) end = query->position + 1;
    if (first >= end) return (struct attention_view){0, 0};
    return (struct attention_view){first - start, end - start};
}

/* What is read after this span: keys and values of the next one. */
static void attention_set_prefetch(struct attention_prefetch *prefetch, const struct attention *a,
                                   size_t first_block, size_t blocks) {
    for (size_t b = 0; b < blocks; b++) {
        const unsigned char *page = attention_page(a, first_block + b);
        const size_t before = attention_block_offset(a, first_block + b);
        prefetch->part[2 * b] = page + a->cache.keys + before;
        prefetch->part[2 * b + 1] = page + a->cache.values + before;
    }
    prefetch->parts = 2 * blocks;
    prefetch->bytes = KERNEL_LANES * a->head_dim * kv_type_bytes(a->cache.type);
    prefetch->next = prefetch->offset = 0;
}

/* Distributes the lines over the steps that a span takes with one query. */
static void attention_pace_prefetch(struct attention_prefetch *prefetch, size_t blocks, size_t head_dim) {
    const size_t loops = blocks == ATTENTION_SPAN ? 1 : blocks;
    const size_t steps = loops * head_dim + blocks * KERNEL_LANES;
    const size_t lines = prefetch->parts * (prefetch->bytes + KERNEL_ALIGN - 1) / KERNEL_ALIGN;
    prefetch->lines = (lines * ATTENTION_PREFETCH_STEPS + steps - 1) / steps;
}

/* With each step of a loop over elements of keys, or over values. */
VECTOR_INLINE void attention_prefetch_lines(struct attention_prefetch *prefetch) {
    for (size_t line = 0; line < prefetch->lines && prefetch->offset < prefetch->bytes; line++) {
        __builtin_prefetch(prefetch->part[prefetch->next] + prefetch->offset, 0, 2);
        if (++prefetch->next < prefetch->parts) continue;
        prefetch->next = 0;
        prefetch->offset += KERNEL_ALIGN;
    }
}

/* Where the blocks of a span lie, and who sees what of them. */
static void attention_set_span(struct attention_tile *t, size_t first_block, size_t blocks) {
    const struct attention *a = t->a;
    const struct kv_head *cache = &a->cache;
    t->first_block = first_block;
    t->blocks = blocks;
    for (size_t b = 0; b < blocks; b++) {
        size_t in_page = (first_block + b) * KERNEL_LANES % a->page_tokens;
        const unsigned char *page = attention_page(a, first_block + b);
        t->keys[b] = page + cache->keys + attention_block_offset(a, first_block + b);
        t->values[b] = page + cache->values + attention_block_offset(a, first_block + b);
        t->key_scales[b] = t->value_scales[b] = NULL;
        if (cache->type == KV_TYPE_INT8) {
            t->key_scales[b] = (const float *)(const void *)(page + cache->key_scales) + in_page;
            t->value_scales[b] = (const float *)(const void *)(page + cache->value_scales) + in_page;
        }
        for (size_t i = 0; i < t->count; i++)
            t->view[i][b] = attention_view_of(&t->query[i], first_block + b);
    }
}

/* The first `lanes` of sixteen cached elements from `index` on; type is a constant where this is inlined. */
VECTOR_INLINE struct vector attention_load(enum kv_type type, const unsigned char *from, size_t index,
                                           size_t lanes) {
    switch (type) {
    case KV_TYPE_F16:
        return vector_load_half_first((const uint16_t *)(const void *)from + index, lanes);
    case KV_TYPE_INT8:
        return vector_load_int8_first((const int8_t *)from + index, lanes);
    case KV_TYPE_F32:
    case KV_TYPE_COUNT:
        break;
    }
    return vector_load_first((const float *)(const void *)from + index, lanes);
}

/* Dot products of `queries` queries with the 16 keys of each of `blocks` blocks; these and the type are
 * constants where this is inlined, so that all accumulators live in registers. */
VECTOR_INLINE void attention_dots(struct attention_tile *t, enum kv_type type, size_t query, size_t queries,
                                  size_t block, size_t blocks) {
    const size_t head_dim = t->a->head_dim;
    const float *q[ATTENTION_SCORE_ACCUMULATORS];
    const unsigned char *keys[ATTENTION_SPAN];
    struct vector sum[ATTENTION_SCORE_ACCUMULATORS];
    KERNEL_EACH (i, queries) q[i] = t->query[query + i].q;
    KERNEL_EACH (b, blocks) keys[b] = t->keys[block + b];
    KERNEL_EACH (c, queries * blocks) sum[c] = vector_splat(0.0f);
    for (size_t d = 0; d < head_dim; d++) {
        if (d % ATTENTION_PREFETCH_STEPS == 0) attention_prefetch_lines(&t->prefetch);
        KERNEL_EACH (b, blocks) {
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

/* As many queries and blocks at once as there are accumulators, in powers of two. */
VECTOR_INLINE void attention_dots_blocks(struct attention_tile *t, enum kv_type type, size_t query,
                                         size_t queries) {
    const size_t together = ATTENTION_SCORE_ACCUMULATORS / queries < ATTENTION_SPAN
                                ? ATTENTION_SCORE_ACCUMULATORS / queries
                                : ATTENTION_SPAN;
    size_t block = 0;
    for (; block + together <= t->blocks; block += together)
        attention_dots(t, type, query, queries, block, together);
    for (; block < t->blocks; block++) attention_dots(t, type, query, queries, block, 1);
}

VECTOR_INLINE void attention_dots_of(struct attention_tile *t, size_t query, size_t queries) {
    switch (t->a->cache.type) {
    case KV_TYPE_F16:
        attention_dots_blocks(t, KV_TYPE_F16, query, queries);
        break;
    case KV_TYPE_INT8:
        attention_dots_blocks(t, KV_TYPE_INT8, query, queries);
        break;
    case KV_TYPE_F32:
    case KV_TYPE_COUNT:
        attention_dots_blocks(t, KV_TYPE_F32, query, queries);
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
    /* More queries share the conversion of keys. */
    for (; t->a->cache.type != KV_TYPE_F32 && query + 8 <= t->count; query += 8)
        attention_dots_of_8(t, query);
#endif
    for (; query + 4 <= t->count; query += 4) attention_dots_of_4(t, query);
    for (; query + 2 <= t->count; query += 2) attention_dots_of_2(t, query);
    for (; query < t->count; query++) attention_dots_of_1(t, query);
}

/* From the dot products of a query and block to its scores: scales, bias, and -inf for keys that it does not
 * see. */
VECTOR_INLINE struct vector attention_scores(const struct attention_tile *t, size_t i, size_t b) {
    const struct attention_query *query = &t->query[i];
    struct attention_view view = t->view[i][b];
    struct vector scores = vector_load(t->weight[i][b]);
    if (t->key_scales[b]) scores = vector_multiply(scores, vector_load(t->key_scales[b]));
    scores = vector_multiply(vector_splat(t->a->scale), scores);
    if (t->a->score_cap > 0) scores = vector_soft_cap(scores, t->a->score_cap, 1.0f / t->a->score_cap);
    if (query->alibi) {
        struct vector bias = vector_load_first(query->alibi + (t->first_block + b) * KERNEL_LANES, view.end);
        scores = vector_add(scores, vector_subtract(bias, vector_splat(query->alibi[query->position])));
    }
    return vector_select(mask_range(view.first, view.end), scores, vector_splat(-INFINITY));
}

/* From dot products to weights, in three steps for all queries of a tile, free of branches that depend on
 * scores. First the scores and the running maximum block by block: `largest` is that of each block, factor
 * what the maximum changes by, negative where it rises. */
static void attention_set_maxima(struct attention_tile *t, size_t i, float *largest) {
    float highest = t->query[i].largest;
    for (size_t b = 0; b < ATTENTION_SPAN; b++) {
        const float before = highest;
        if (b < t->blocks && t->view[i][b].end > 0) {
            const struct vector scores = attention_scores(t, i, b);
            const float in_block = vector_largest(scores);
            highest = in_block > highest ? in_block : highest;
            vector_store(t->weight[i][b], scores);
        }
        /* Where nothing was seen yet both are -inf. */
        t->factor[i][b] = highest > before ? before - highest : 0.0f;
        largest[b] = highest;
    }
    t->query[i].largest = highest;
}

/* Then all factors at once: e^(old - new maximum), 1 where it did not rise. */
static void attention_set_factors(struct attention_tile *t) {
    float *factors = t->factor[0];
    for (size_t i = 0; i < t->count * ATTENTION_SPAN; i += KERNEL_LANES)
        vector_store(factors + i, vector_exp(vector_load(factors + i)));
}

/* At last the weights and their sums. */
static void attention_weigh(struct attention_tile *t, size_t i, const float *largest) {
    struct vector sums = t->query[i].sums;
    for (size_t b = 0; b < t->blocks; b++) {
        if (t->view[i][b].end == 0) continue;
        struct vector scores = vector_load(t->weight[i][b]);
        struct vector weights = vector_exp(vector_subtract(scores, vector_splat(largest[b])));
        sums = vector_add(vector_multiply(sums, vector_splat(t->factor[i][b])), weights);
        if (t->value_scales[b]) weights = vector_multiply(weights, vector_load(t->value_scales[b]));
        vector_store(t->weight[i][b], weights);
    }
    t->query[i].sums = sums;
}

static __attribute__((noinline)) void attention_softmax(struct attention_tile *t) {
    float largest[ATTENTION_QUERIES][ATTENTION_SPAN];
    for (size_t i = 0; i < t->count; i++) attention_set_maxima(t, i, largest[i]);
    attention_set_factors(t);
    for (size_t i = 0; i < t->count; i++) attention_weigh(t, i, largest[i]);
}

/* Some columns of a block's values: `vectors` vectors from `column` on, the last with `lanes` lanes (16 but
 * for vectors = 1). The type and the number are constants where this is inlined. */
struct attention_columns {
    enum kv_type type;
    const unsigned char *values;
    size_t head_dim, column, vectors, lanes;
};

VECTOR_INLINE struct vector attention_value(const struct attention_columns *c, size_t j, size_t v) {
    return attention_load(c->type, c->values, j * c->head_dim + c->column + v * KERNEL_LANES, c->lanes);
}

/* Adds the values of keys first <= j < end to the sums of one query. */
VECTOR_INLINE void attention_add_alone(const float *weight, const struct attention_columns *c, size_t first,
                                       size_t end, struct vector *sums) {
    for (size_t j = first; j < end; j++) {
        KERNEL_EACH (v, c->vectors)
            sums[v] = vector_fma(vector_splat(weight[j]), attention_value(c, j, v), sums[v]);
    }
}

/* The keys of block b that all of the queries see; end <= first when there is none. */
VECTOR_INLINE struct attention_view attention_common_view(const struct attention_tile *t, size_t query,
                                                          size_t queries, size_t b) {
    struct attention_view common = {0, KERNEL_LANES};
    KERNEL_EACH (i, queries) {
        struct attention_view view = t->view[query + i][b];
        if (view.first > common.first) common.first = view.first;
        if (view.end < common.end) common.end = view.end;
    }
    return common;
}

/* Adds block b's weighted values to the sums of some queries: for each its own oldest keys, then together
 * those that all see, then its own newest; so in ascending order for each, and never a key that it does not
 * see. */
VECTOR_INLINE void attention_add_block(struct attention_tile *t, size_t query, size_t queries, size_t b,
                                       const struct attention_columns *c,
                                       struct vector (*sums)[ATTENTION_VALUE_VECTORS]) {
    struct attention_view common = attention_common_view(t, query, queries, b);
    if (common.end <= common.first) common.first = common.end = KERNEL_LANES;
    KERNEL_EACH (i, queries) {
        struct attention_view view = t->view[query + i][b];
        size_t end = view.end < common.first ? view.end : common.first;
        attention_add_alone(t->weight[query + i][b], c, view.first, end, sums[i]);
    }
    for (size_t j = common.first; j < common.end; j++) {
        if (j % ATTENTION_PREFETCH_STEPS == 0) attention_prefetch_lines(&t->prefetch);
        struct vector value[ATTENTION_VALUE_VECTORS];
        KERNEL_EACH (v, c->vectors) value[v] = attention_value(c, j, v);
        KERNEL_EACH (i, queries) {
            const struct vector weight = vector_splat(t->weight[query + i][b][j]);
            KERNEL_EACH (v, c->vectors) sums[i][v] = vector_fma(weight, value[v], sums[i][v]);
        }
    }
    KERNEL_EACH (i, queries) {
        attention_add_alone(t->weight[query + i][b], c, common.end, t->view[query + i][b].end, sums[i]);
    }
}

/* The span's weighted values in some columns. */
VECTOR_INLINE void attention_add_columns(struct attention_tile *t, enum kv_type type, size_t query,
                                         size_t queries, size_t column, size_t vectors, size_t lanes) {
    struct vector sums[ATTENTION_VALUE_QUERIES][ATTENTION_VALUE_VECTORS];
    KERNEL_EACH (i, queries) {
        const float *out = t->query[query + i].out + column;
        KERNEL_EACH (v, vectors) sums[i][v] = vector_load_first(out + v * KERNEL_LANES, lanes);
    }
    for (size_t b = 0; b < t->blocks; b++) {
        KERNEL_EACH (i, queries) {
            const struct vector factor = vector_splat(t->factor[query + i][b]);
            KERNEL_EACH (v, vectors) sums[i][v] = vector_multiply(sums[i][v], factor);
        }
        const struct attention_columns c = {type, t->values[b], t->a->head_dim, column, vectors, lanes};
        attention_add_block(t, query, queries, b, &c, sums);
    }
    KERNEL_EACH (i, queries) {
        float *out = t->query[query + i].out + column;
        KERNEL_EACH (v, vectors) vector_store_first(out + v * KERNEL_LANES, sums[i][v], lanes);
    }
}

VECTOR_INLINE void attention_add_values(struct attention_tile *t, enum kv_type type, size_t query,
                                        size_t queries) {
    const size_t width = t->a->head_dim, wide = ATTENTION_VALUE_VECTORS * KERNEL_LANES;
    size_t column = 0;
    for (; column + wide <= width; column += wide)
        attention_add_columns(t, type, query, queries, column, ATTENTION_VALUE_VECTORS, KERNEL_LANES);
    for (; column + KERNEL_LANES <= width; column += KERNEL_LANES)
        attention_add_columns(t, type, query, queries, column, 1, KERNEL_LANES);
    if (column < width) attention_add_columns(t, type, query, queries, column, 1, width - column);
}

VECTOR_INLINE void attention_values_of(struct attention_tile *t, enum kv_type type) {
    size_t query = 0;
    for (; query + ATTENTION_VALUE_QUERIES <= t->count; query += ATTENTION_VALUE_QUERIES)
        attention_add_values(t, type, query, ATTENTION_VALUE_QUERIES);
    for (; query < t->count; query++) attention_add_values(t, type, query, 1);
}

static __attribute__((noinline)) void attention_values_f32(struct attention_tile *t) {
    attention_values_of(t, KV_TYPE_F32);
}

static __attribute__((noinline)) void attention_values_f16(struct attention_tile *t) {
    attention_values_of(t, KV_TYPE_F16);
}

static __attribute__((noinline)) void attention_values_int8(struct attention_tile *t) {
    attention_values_of(t, KV_TYPE_INT8);
}

static void attention_span(struct attention_tile *t) {
    static void (*const add_values[KV_TYPE_COUNT])(struct attention_tile * t) = {
        attention_values_f32, attention_values_f16, attention_values_int8};
    attention_all_dots(t);
    attention_softmax(t);
    add_values[t->a->cache.type](t);
}

static void attention_divide(const struct attention_query *query, size_t head_dim) {
    const struct vector factor = vector_splat(1.0f / vector_sum(query->sums));
    for (size_t i = 0; i < head_dim; i += KERNEL_LANES) {
        size_t lanes = head_dim - i < KERNEL_LANES ? head_dim - i : KERNEL_LANES;
        vector_store_first(query->out + i, vector_multiply(vector_load_first(query->out + i, lanes), factor),
                           lanes);
    }
}

/* Blocks of the span that starts with `block`, of those up to `last`. */
static size_t attention_span_blocks(size_t block, size_t last) {
    return last - block + 1 < ATTENTION_SPAN ? last - block + 1 : ATTENTION_SPAN;
}

/* The next span; behind the last, the first of what this thread does then. */
static void attention_prefetch_next(struct attention_tile *t, size_t block, size_t last) {
    const struct attention *next = t->a->prefetch;
    if (block <= last) {
        attention_set_prefetch(&t->prefetch, t->a, block, attention_span_blocks(block, last));
    } else if (next) {
        block = attention_oldest(next, next->first_position) / KERNEL_LANES;
        last = next->first_position / KERNEL_LANES;
        attention_set_prefetch(&t->prefetch, next, block, attention_span_blocks(block, last));
    } else {
        t->prefetch.lines = 0;
        return;
    }
    attention_pace_prefetch(&t->prefetch, t->blocks, t->a->head_dim);
}

/* All spans that some query of the tile sees. cold: they are not in a cache yet. */
static void attention_walk(struct attention_tile *t, bool cold) {
    size_t block = t->query[0].oldest / KERNEL_LANES;
    size_t last = t->query[t->count - 1].position / KERNEL_LANES;
    t->prefetch.lines = 0;
    for (; block <= last; block += t->blocks) {
        attention_set_span(t, block, attention_span_blocks(block, last));
        if (cold) attention_prefetch_next(t, block + t->blocks, last);
        attention_span(t);
    }
}

void KERNEL_FUNCTION(attention)(const struct attention *a, size_t row_first, size_t row_count) {
    assert(a->group > 0 && a->page_tokens % KERNEL_LANES == 0);
    attention_announce(a, row_first, row_count);
    struct attention_tile t;
    t.a = a;
    memset(t.factor, 0, sizeof t.factor); /* all of a vector is computed, also where there are few queries */
    size_t end = (row_first + row_count) * a->group;
    for (size_t index = row_first * a->group; index < end; index += t.count) {
        t.count = end - index < ATTENTION_QUERIES ? end - index : ATTENTION_QUERIES;
        for (size_t i = 0; i < t.count; i++) attention_set_query(&t.query[i], a, index + i);
        attention_walk(&t, index == 0);
        for (size_t i = 0; i < t.count; i++) attention_divide(&t.query[i], a->head_dim);
    }
}
