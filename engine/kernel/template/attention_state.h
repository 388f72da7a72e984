/* What attention makes of the keys of a chunk, and how chunks are merged; and where a block of keys lies. */
#pragma once

#include <math.h>
#include <string.h>

#include "engine/kernel/template/vector_math.h"

#define ATTENTION_CHUNK_BLOCKS (KERNEL_ATTENTION_CHUNK / KERNEL_LANES)

/* ---- the cache ------------------------------------------------------------------------------------------ */

/* The first position that a query sees. */
VECTOR_INLINE size_t attention_oldest(const struct attention *a, size_t position) {
    return a->window && position >= a->window ? position - a->window + 1 : 0;
}

VECTOR_INLINE const unsigned char *attention_page(const struct attention *a, const uint32_t *pages,
                                                  size_t block) {
    return a->pool + pages[block * KERNEL_LANES / a->page_tokens] * a->page_stride;
}

/* Bytes from the first keys (or values) of a page to those of a block of it. */
VECTOR_INLINE size_t attention_block_offset(const struct attention *a, size_t block) {
    return block * KERNEL_LANES % a->page_tokens * kv_stored_dim(a->cache.type, a->head_dim) *
           kv_type_bytes(a->cache.type);
}

/* Bytes of the keys of a block; of its values too. */
VECTOR_INLINE size_t attention_block_bytes(const struct attention *a) {
    return KERNEL_LANES * kv_stored_dim(a->cache.type, a->head_dim) * kv_type_bytes(a->cache.type);
}

/* ---- states --------------------------------------------------------------------------------------------- */

/* What a query has made of some keys: the largest score, lane sums of the weights, weighted values. */
struct attention_state {
    struct vector sums;
    float largest;
    float *values; /* [head_dim] */
};

VECTOR_INLINE struct attention_state attention_empty_state(float *values, size_t head_dim) {
    memset(values, 0, head_dim * sizeof(float));
    return (struct attention_state){.largest = -INFINITY, .sums = vector_splat(0.0f), .values = values};
}

VECTOR_INLINE size_t attention_padded(size_t head_dim) {
    return (head_dim + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES;
}

/* A state in memory: values, lane sums, and the largest score. */
VECTOR_INLINE float *attention_sums_of(float *state, size_t head_dim) {
    return state + kernel_attention_state(head_dim) - 2 * KERNEL_LANES;
}

/* The state of all keys before, with that of the next chunk. */
VECTOR_INLINE void attention_add_state(struct attention_state *state, const struct attention_state *next,
                                       size_t head_dim) {
    const bool rises = next->largest > state->largest, falls = state->largest > next->largest;
    /* The factor of the lower one; that of the other is 1, as both are where both maxima are -inf. */
    const float gap = rises ? state->largest - next->largest : falls ? next->largest - state->largest : 0.0f;
    const struct vector one = vector_splat(1.0f), lower = vector_exp_of_fall(vector_splat(gap));
    const struct vector f = rises ? lower : one, g = falls ? lower : one;
    state->sums = vector_fma(next->sums, g, vector_multiply(state->sums, f));
    for (size_t i = 0; i < head_dim; i += KERNEL_LANES) {
        size_t lanes = head_dim - i < KERNEL_LANES ? head_dim - i : KERNEL_LANES;
        struct vector before = vector_multiply(vector_load_first(state->values + i, lanes), f);
        struct vector both = vector_fma(vector_load_first(next->values + i, lanes), g, before);
        vector_store_first(state->values + i, both, lanes);
    }
    if (rises) state->largest = next->largest;
}

VECTOR_INLINE void attention_divide(const struct attention_state *state, size_t head_dim) {
    const struct vector factor = vector_splat(1.0f / vector_sum(state->sums));
    for (size_t i = 0; i < head_dim; i += KERNEL_LANES) {
        size_t lanes = head_dim - i < KERNEL_LANES ? head_dim - i : KERNEL_LANES;
        vector_store_first(state->values + i,
                           vector_multiply(vector_load_first(state->values + i, lanes), factor), lanes);
    }
}
