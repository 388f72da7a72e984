/* The third step of a span (attention.h): weighted values of all queries. */
#pragma once

#include "engine/kernel/template/attention_tile.h"

#ifndef ATTENTION_VALUE_QUERIES
#error                                                                                                       \
    "define ATTENTION_VALUE_QUERIES, and ATTENTION_VALUE_VECTORS(queries): the register tiles of weighted values"
#endif
#define ATTENTION_VALUE_VECTORS_MAX 4

/* Some columns of a block's values: `vectors` vectors from `column` on, the last with `lanes` lanes (16 but
 * for vectors = 1). paired: a block of bf16, whose keys of one parity alone are added. Columns are constants where this is
 * inlined, but for the values and their place. */
struct attention_columns {
    enum kv_type type;
    const unsigned char *values;
    size_t dim, column, vectors, lanes;
    bool paired;
    enum parity parity;
};

/* Rows of values are those of a key each, or of two, of which one is added. So many rows come before that of key j, and this
 * is the key of a row. */
VECTOR_INLINE size_t attention_rows_before(const struct attention_columns *c, size_t j) {
    return c->paired ? (j + 1 - c->parity) / 2 : j;
}
VECTOR_INLINE size_t attention_key_of_row(const struct attention_columns *c, size_t row) {
    return c->paired ? 2 * row + c->parity : row;
}

VECTOR_INLINE struct vector attention_value(const struct attention_columns *c, size_t row, size_t v) {
    const size_t index = row * c->dim + c->column + v * KERNEL_LANES;
    if (!c->paired) return attention_load(c->type, c->values, index, c->lanes);
    return attention_load_half(c->type, c->values, KERNEL_LANES / 2 * c->dim, index, c->parity, c->lanes);
}

/* A query's weights in block b of the span; those of the next query are attention_weight_stride() behind. */
VECTOR_INLINE const float *attention_weights(const struct attention_tile *t, bool paired, size_t query,
                                             size_t b) {
    if (!paired) return t->weight[query][b];
    return t->query[query].weights + (t->first_block % ATTENTION_CHUNK_BLOCKS + b) * KERNEL_LANES;
}
VECTOR_INLINE size_t attention_weight_stride(bool paired) {
    return paired ? KERNEL_ATTENTION_CHUNK : ATTENTION_SPAN * KERNEL_LANES;
}

/* Adds the values of keys first <= j < end to the sums of one query. */
VECTOR_INLINE void attention_add_alone(const float *weight, const struct attention_columns *c, size_t first,
                                       size_t end, struct vector *sums) {
    const size_t last = attention_rows_before(c, end);
    for (size_t row = attention_rows_before(c, first); row < last; row++) {
        const struct vector own = vector_splat(weight[attention_key_of_row(c, row)]);
        KERNEL_EACH (v, c->vectors) sums[v] = vector_fma(own, attention_value(c, row, v), sums[v]);
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
    const size_t last = attention_rows_before(c, end);
    for (size_t row = attention_rows_before(c, first); row < last; row++) {
        const size_t j = attention_key_of_row(c, row);
        struct vector value[ATTENTION_VALUE_VECTORS_MAX];
        KERNEL_EACH (v, c->vectors) value[v] = attention_value(c, row, v);
        KERNEL_EACH (i, queries) {
            const struct vector own = vector_splat(weight[i * attention_weight_stride(c->paired) + j]);
            KERNEL_EACH (v, c->vectors) sums[i][v] = vector_fma(own, value[v], sums[i][v]);
        }
    }
}

/* Adds block b's weighted values to the sums of some queries: for each its own oldest keys, then together
 * those that all see, then its own newest; so in ascending order for each, and never a key that it
 * does not see. */
VECTOR_INLINE void attention_add_partly_seen(struct attention_tile *t, size_t query, size_t queries, size_t b,
                                             const struct attention_columns *c,
                                             struct vector (*sums)[ATTENTION_VALUE_VECTORS_MAX]) {
    struct attention_view common = attention_common_view(t, query, queries, b);
    if (common.end <= common.first) common.first = common.end = KERNEL_LANES;
    KERNEL_EACH (i, queries) {
        struct attention_view view = t->view[query + i][b];
        size_t end = view.end < common.first ? view.end : common.first;
        attention_add_alone(attention_weights(t, c->paired, query + i, b), c, view.first, end, sums[i]);
    }
    attention_add_together(attention_weights(t, c->paired, query, b), queries, c, common.first, common.end,
                           sums);
    KERNEL_EACH (i, queries) {
        attention_add_alone(attention_weights(t, c->paired, query + i, b), c, common.end,
                            t->view[query + i][b].end, sums[i]);
    }
}

/* seen: by all of the queries. */
VECTOR_INLINE void attention_add_block(struct attention_tile *t, size_t query, size_t queries, size_t b,
                                       bool seen, const struct attention_columns *c,
                                       struct vector (*sums)[ATTENTION_VALUE_VECTORS_MAX]) {
    if (seen)
        attention_add_together(attention_weights(t, c->paired, query, b), queries, c, 0, KERNEL_LANES, sums);
    else
        attention_add_partly_seen(t, query, queries, b, c, sums);
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
        const struct attention_columns c = {type,    t->values[b], t->a->head_dim, column,
                                            vectors, lanes,        false,          EVEN};
        attention_add_block(t, query, queries, b, seen.seen_by_all >> b & 1, &c, sums);
    }
    KERNEL_EACH (i, queries) {
        float *out = t->query[query + i].chunk.values + column;
        KERNEL_EACH (v, vectors) vector_store_first(out + v * KERNEL_LANES, sums[i][v], lanes);
    }
}

/* The values of a block's even or odd positions. */
VECTOR_INLINE void attention_add_half(struct attention_tile *t, size_t query, size_t queries, size_t b,
                                      bool seen, struct attention_columns c, enum parity parity,
                                      struct vector (*sums)[ATTENTION_VALUE_VECTORS_MAX]) {
    c.parity = parity;
    KERNEL_EACH (i, queries) {
        KERNEL_EACH (v, c.vectors) sums[i][v] = vector_splat(0.0f);
    }
    attention_add_block(t, query, queries, b, seen, &c, sums);
}

/* As attention_add_columns. */
VECTOR_INLINE void attention_add_pair_columns(struct attention_tile *t, enum kv_type type, size_t query,
                                              size_t queries, size_t column, size_t vectors, size_t lanes) {
    struct vector even[ATTENTION_VALUE_QUERIES][ATTENTION_VALUE_VECTORS_MAX],
        odd[ATTENTION_VALUE_QUERIES][ATTENTION_VALUE_VECTORS_MAX];
    const struct attention_blocks seen = attention_blocks_of(t, query, queries);
    const bool prefetches = column == 0 && attention_prefetches(t, query);
    const size_t dim = kv_stored_dim(KV_TYPE_BF16, t->a->head_dim);
    for (size_t b = seen.first; b < seen.end; b++) {
        const bool all = seen.seen_by_all >> b & 1;
        if (prefetches && b < t->ahead_count)
            attention_prefetch_block(type, t->ahead_values[b], attention_block_bytes(t->a));
        const struct attention_columns c = {type, t->values[b], dim, column, vectors, lanes, true, EVEN};
        attention_add_half(t, query, queries, b, all, c, EVEN, even);
        attention_add_half(t, query, queries, b, all, c, ODD, odd);
        KERNEL_EACH (i, queries) {
            float *out = t->query[query + i].chunk.values + column;
            KERNEL_EACH (v, vectors) {
                float *to = out + v * KERNEL_LANES;
                const struct vector both = vector_add(even[i][v], odd[i][v]);
                vector_store_first(to, vector_add(vector_load_first(to, lanes), both), lanes);
            }
        }
    }
}

/* vectors: as of attention_add_columns; a constant, as the type is and whether it is bf16, in pairs. */
VECTOR_INLINE void attention_add_some(struct attention_tile *t, enum kv_type type, bool paired, size_t query,
                                      size_t queries, size_t column, size_t vectors, size_t lanes) {
    if (paired)
        attention_add_pair_columns(t, type, query, queries, column, vectors, lanes);
    else
        attention_add_columns(t, type, query, queries, column, vectors, lanes);
}

VECTOR_INLINE void attention_add_values(struct attention_tile *t, enum kv_type type, bool paired,
                                        size_t query, size_t queries) {
    const size_t vectors = ATTENTION_VALUE_VECTORS(queries), wide = vectors * KERNEL_LANES;
    const size_t width = t->a->head_dim;
    size_t column = 0;
    for (; column + wide <= width; column += wide)
        attention_add_some(t, type, paired, query, queries, column, vectors, KERNEL_LANES);
    for (; column + KERNEL_LANES <= width; column += KERNEL_LANES)
        attention_add_some(t, type, paired, query, queries, column, 1, KERNEL_LANES);
    if (column < width) attention_add_some(t, type, paired, query, queries, column, 1, width - column);
}

VECTOR_INLINE void attention_values_of(struct attention_tile *t, enum kv_type type, bool paired) {
    size_t query = 0;
    for (; query + ATTENTION_VALUE_QUERIES <= t->count; query += ATTENTION_VALUE_QUERIES)
        attention_add_values(t, type, paired, query, ATTENTION_VALUE_QUERIES);
#if ATTENTION_VALUE_QUERIES > 4
    for (; query + 4 <= t->count; query += 4) attention_add_values(t, type, paired, query, 4);
#endif
#if ATTENTION_VALUE_QUERIES > 2
    for (; query + 2 <= t->count; query += 2) attention_add_values(t, type, paired, query, 2);
#endif
    for (; query < t->count; query++) attention_add_values(t, type, paired, query, 1);
}

static __attribute__((noinline)) void attention_values_f32(struct attention_tile *t) {
    attention_values_of(t, KV_TYPE_F32, false);
}

static __attribute__((noinline)) void attention_values_f16(struct attention_tile *t) {
    attention_values_of(t, KV_TYPE_F16, false);
}

static __attribute__((noinline)) void attention_values_int8(struct attention_tile *t) {
    attention_values_of(t, KV_TYPE_INT8, false);
}
