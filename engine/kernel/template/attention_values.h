/* The third step of a span (attention.h): weighted values of all queries. */
#pragma once

#include "engine/kernel/template/attention_tile.h"

#ifndef ATTENTION_VALUE_QUERIES
#error                                                                                                       \
    "define ATTENTION_VALUE_QUERIES, and ATTENTION_VALUE_VECTORS(queries): the register tiles of weighted values"
#endif
#define ATTENTION_VALUE_VECTORS_MAX 4

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

/* Keys first <= j < end of a block, which all of the queries see. */
VECTOR_INLINE void attention_add_together(const float *weight, size_t queries,
                                          const struct attention_columns *c, size_t first, size_t end,
                                          struct vector (*sums)[ATTENTION_VALUE_VECTORS_MAX]) {
    for (size_t j = first; j < end; j++) {
        struct vector value[ATTENTION_VALUE_VECTORS_MAX];
        KERNEL_EACH (v, c->vectors) value[v] = attention_value(c, j, v);
        KERNEL_EACH (i, queries) {
            const struct vector own = vector_splat(weight[i * ATTENTION_SPAN * KERNEL_LANES + j]);
            KERNEL_EACH (v, c->vectors) sums[i][v] = vector_fma(own, value[v], sums[i][v]);
        }
    }
}

/* Adds block b's weighted values to the sums of some queries: for each its own oldest keys, then together
 * those that all see, then its own newest; so in ascending order for each, and never a key that it does not
 * see. */
VECTOR_INLINE void attention_add_block(struct attention_tile *t, size_t query, size_t queries, size_t b,
                                       const struct attention_columns *c,
                                       struct vector (*sums)[ATTENTION_VALUE_VECTORS_MAX]) {
    struct attention_view common = attention_common_view(t, query, queries, b);
    if (common.end <= common.first) common.first = common.end = KERNEL_LANES;
    KERNEL_EACH (i, queries) {
        struct attention_view view = t->view[query + i][b];
        size_t end = view.end < common.first ? view.end : common.first;
        attention_add_alone(t->weight[query + i][b], c, view.first, end, sums[i]);
    }
    attention_add_together(t->weight[query][b], queries, c, common.first, common.end, sums);
    KERNEL_EACH (i, queries) {
        attention_add_alone(t->weight[query + i][b], c, common.end, t->view[query + i][b].end, sums[i]);
    }
}

/* The span's weighted values in some columns. */
VECTOR_INLINE void attention_add_columns(struct attention_tile *t, enum kv_type type, size_t query,
                                         size_t queries, size_t column, size_t vectors, size_t lanes) {
    struct vector sums[ATTENTION_VALUE_QUERIES][ATTENTION_VALUE_VECTORS_MAX];
    const struct attention_blocks seen = attention_blocks_of(t, query, queries);
    const bool prefetches = column == 0 && attention_prefetches(t, query);
    KERNEL_EACH (i, queries) {
        const float *out = t->query[query + i].chunk.values + column;
        KERNEL_EACH (v, vectors) sums[i][v] = vector_load_first(out + v * KERNEL_LANES, lanes);
    }
    for (size_t b = seen.first; b < seen.end; b++) {
        if (prefetches && b < t->ahead_count)
            attention_prefetch_block(type, t->ahead_values[b], attention_block_bytes(t->a));
        KERNEL_EACH (i, queries) {
            const struct vector factor = vector_splat(t->factor[query + i][b]);
            KERNEL_EACH (v, vectors) sums[i][v] = vector_multiply(sums[i][v], factor);
        }
        const struct attention_columns c = {type, t->values[b], t->a->head_dim, column, vectors, lanes};
        if (seen.seen_by_all >> b & 1)
            attention_add_together(t->weight[query][b], queries, &c, 0, KERNEL_LANES, sums);
        else
            attention_add_block(t, query, queries, b, &c, sums);
    }
    KERNEL_EACH (i, queries) {
        float *out = t->query[query + i].chunk.values + column;
        KERNEL_EACH (v, vectors) vector_store_first(out + v * KERNEL_LANES, sums[i][v], lanes);
    }
}

VECTOR_INLINE void attention_add_values(struct attention_tile *t, enum kv_type type, size_t query,
                                        size_t queries) {
    const size_t vectors = ATTENTION_VALUE_VECTORS(queries), wide = vectors * KERNEL_LANES;
    const size_t width = t->a->head_dim;
    size_t column = 0;
    for (; column + wide <= width; column += wide)
        attention_add_columns(t, type, query, queries, column, vectors, KERNEL_LANES);
    for (; column + KERNEL_LANES <= width; column += KERNEL_LANES)
        attention_add_columns(t, type, query, queries, column, 1, KERNEL_LANES);
    if (column < width) attention_add_columns(t, type, query, queries, column, 1, width - column);
}

VECTOR_INLINE void attention_values_of(struct attention_tile *t, enum kv_type type) {
    size_t query = 0;
    for (; query + ATTENTION_VALUE_QUERIES <= t->count; query += ATTENTION_VALUE_QUERIES)
        attention_add_values(t, type, query, ATTENTION_VALUE_QUERIES);
#if ATTENTION_VALUE_QUERIES > 4
    for (; query + 4 <= t->count; query += 4) attention_add_values(t, type, query, 4);
#endif
#if ATTENTION_VALUE_QUERIES > 2
    for (; query + 2 <= t->count; query += 2) attention_add_values(t, type, query, 2);
#endif
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
