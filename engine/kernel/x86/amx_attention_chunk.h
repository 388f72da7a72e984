/* What a batch makes of a chunk: dot products by tiles, their softmax in vectors, weighted values by tiles. */
#pragma once

#include "engine/kernel/x86/amx_attention_batch.h"

/* ---- tiles ----------------------------------------------------------------------------------------------
 * 0 to 3 are sums, 4 queries, 5 keys, 6 weights, 7 values. */

static void configure_tiles(void) {
    struct tile_config config = {.palette = 1};
    for (size_t tile = 0; tile < TILE_COUNT; tile++) {
        config.row_bytes[tile] = tile == 6 ? KERNEL_LANES * sizeof(uint16_t) : TILE_BYTES;
        config.rows[tile] = tile == 7 ? VALUE_ROWS : TILE_ROWS;
    }
    configure(&config);
}

/* Dimensions from `first` on of a block's keys. The last ones are fewer than a tile has: with zeros below. */
VECTOR_INLINE const void *keys_of(struct batch *b, size_t block, size_t first) {
    const unsigned char *keys = b->keys[block] + first * KERNEL_LANES * sizeof(uint16_t);
    return first + KERNEL_BF16_BLOCK <= b->dim ? (const void *)keys : b->tail[block];
}

static void copy_tails(struct batch *b) {
    const size_t first = b->dim / KERNEL_BF16_BLOCK * KERNEL_BF16_BLOCK;
    if (first == b->dim) return;
    for (size_t block = 0; block < b->end - b->first; block++)
        memcpy(b->tail[block], b->keys[block] + first * KERNEL_LANES * sizeof(uint16_t),
               (b->dim - first) / 2 * TILE_BYTES);
}

/* What is read AHEAD blocks after the index'th of a chunk: keys, then values. */
VECTOR_INLINE void prefetch_ahead(const struct batch *b, size_t index) {
    const unsigned char *from = b->ahead[index + AHEAD];
    if (!from) return;
    for (size_t i = 0; i < b->dim * KERNEL_LANES * sizeof(uint16_t); i += KERNEL_ALIGN)
        __builtin_prefetch(from + i, 0, 2);
}

/* Dot products of one or two tiles of queries with one or two blocks of keys. */
VECTOR_INLINE void multiply_keys(struct batch *b, size_t block, bool two_blocks, bool two_tiles) {
    const size_t stride = sizeof b->q[0];
    prefetch_ahead(b, block);
    if (two_blocks) prefetch_ahead(b, block + 1);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t d = 0; d < b->dim; d += KERNEL_BF16_BLOCK) {
        _tile_stream_loadd(5, keys_of(b, block, d), TILE_BYTES);
        _tile_loadd(4, b->q[0] + d, stride);
        _tile_dpbf16ps(0, 4, 5);
        if (two_tiles) {
            _tile_loadd(4, b->q[TILE_ROWS] + d, stride);
            _tile_dpbf16ps(1, 4, 5);
        }
        if (!two_blocks) continue;
        _tile_stream_loadd(5, keys_of(b, block + 1, d), TILE_BYTES);
        if (two_tiles) {
            _tile_dpbf16ps(3, 4, 5);
            _tile_loadd(4, b->q[0] + d, stride);
        }
        _tile_dpbf16ps(2, 4, 5);
    }
    float *to = b->scores[0] + block * KERNEL_LANES, *second = b->scores[TILE_ROWS] + block * KERNEL_LANES;
    _tile_stored(0, to, sizeof b->scores[0]);
    if (two_tiles) _tile_stored(1, second, sizeof b->scores[0]);
    if (!two_blocks) return;
    _tile_stored(2, to + KERNEL_LANES, sizeof b->scores[0]);
    if (two_tiles) _tile_stored(3, second + KERNEL_LANES, sizeof b->scores[0]);
}

VECTOR_INLINE void multiply_all_keys(struct batch *b, bool two_tiles) {
    const size_t blocks = b->end - b->first;
    size_t block = 0;
    copy_tails(b);
    tile_barrier();
    for (; block + 2 <= blocks; block += 2) multiply_keys(b, block, true, two_tiles);
    if (block < blocks) multiply_keys(b, block, false, two_tiles);
}

/* Weights of one or two tiles of queries times values, of two times sixteen columns, which may overlap. */
VECTOR_INLINE void multiply_values(struct batch *b, size_t column, size_t next, bool two_tiles) {
    const size_t stride = sizeof b->scores[0], line = b->dim * PAIR_BYTES;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t block = 0; block < b->end - b->first; block++) {
        const uint16_t *weights = (const uint16_t *)(const void *)b->scores[0] + block * KERNEL_LANES;
        const uint16_t *second = (const uint16_t *)(const void *)b->scores[TILE_ROWS] + block * KERNEL_LANES;
        const unsigned char *values = b->values[block];
        if (column == 0) prefetch_ahead(b, b->end - b->first + block);
        _tile_loadd(6, weights, stride);
        _tile_loadd(7, values + column * PAIR_BYTES, line);
        _tile_dpbf16ps(0, 6, 7);
        if (two_tiles) {
            _tile_loadd(6, second, stride);
            _tile_dpbf16ps(1, 6, 7);
        }
        _tile_loadd(7, values + next * PAIR_BYTES, line);
        if (two_tiles) {
            _tile_dpbf16ps(3, 6, 7);
            _tile_loadd(6, weights, stride);
        }
        _tile_dpbf16ps(2, 6, 7);
    }
    _tile_stored(0, b->out[0] + column, sizeof b->out[0]);
    _tile_stored(2, b->out[0] + next, sizeof b->out[0]);
    if (!two_tiles) return;
    _tile_stored(1, b->out[TILE_ROWS] + column, sizeof b->out[0]);
    _tile_stored(3, b->out[TILE_ROWS] + next, sizeof b->out[0]);
}

/* Lane sums of the weights are their products with the unit matrix. */
VECTOR_INLINE void sum_weights(struct batch *b, bool two_tiles) {
    const size_t stride = sizeof b->scores[0];
    _tile_zero(0);
    _tile_zero(1);
    _tile_loadd(7, b->unit, TILE_BYTES);
    for (size_t block = 0; block < b->end - b->first; block++) {
        _tile_loadd(6, (const uint16_t *)(const void *)b->scores[0] + block * KERNEL_LANES, stride);
        _tile_dpbf16ps(0, 6, 7);
        if (!two_tiles) continue;
        _tile_loadd(6, (const uint16_t *)(const void *)b->scores[TILE_ROWS] + block * KERNEL_LANES, stride);
        _tile_dpbf16ps(1, 6, 7);
    }
    _tile_stored(0, b->sums[0], sizeof b->sums[0]);
    if (two_tiles) _tile_stored(1, b->sums[TILE_ROWS], sizeof b->sums[0]);
}

VECTOR_INLINE void multiply_all_values(struct batch *b, bool two_tiles) {
    const size_t last = b->head_dim - KERNEL_LANES;
    tile_barrier();
    for (size_t column = 0; column < b->head_dim; column += 2 * (size_t)KERNEL_LANES) {
        const size_t next = column + KERNEL_LANES;
        multiply_values(b, column < last ? column : last, next < last ? next : last, two_tiles);
    }
    sum_weights(b, two_tiles);
}

/* ---- softmax -------------------------------------------------------------------------------------------- */

/* The lanes of a block that a query sees. */
static struct mask seen_lanes(const struct query *query, size_t block) {
    const size_t start = block * KERNEL_LANES;
    size_t first = query->oldest > start ? query->oldest - start : 0,
           end = query->position + 1 > start ? query->position + 1 - start : 0;
    if (end > KERNEL_LANES) end = KERNEL_LANES;
    return mask_range(first < end ? first : end, end);
}

/* From dot products to scores: all but the mask, and in a plain batch but the scale. */
static void finish_scores(const struct batch *b, const struct query *query, float *scores) {
    const struct attention *a = b->a;
    for (size_t block = b->first; block < b->end && block * KERNEL_LANES <= query->position; block++) {
        const size_t start = block * KERNEL_LANES, seen = query->position + 1 - start;
        float *at = scores + (block - b->first) * KERNEL_LANES;
        struct vector score = vector_multiply(vector_splat(a->scale), vector_load(at));
        if (a->score_cap > 0) score = vector_soft_cap(score, a->score_cap, 1.0f / a->score_cap);
        if (query->alibi) {
            const struct vector bias =
                vector_load_first(query->alibi + start, seen < KERNEL_LANES ? seen : KERNEL_LANES);
            score = vector_add(score, vector_subtract(bias, vector_splat(query->alibi[query->position])));
        }
        vector_store(at, score);
    }
}

/* -inf for what a query does not see of blocks [first, end). */
static void mask_scores(const struct batch *b, const struct query *query, size_t first, size_t end,
                        float *scores) {
    for (size_t block = first; block < end; block++) {
        float *at = scores + (block - b->first) * KERNEL_LANES;
        vector_store(at, vector_select(seen_lanes(query, block), vector_load(at), vector_splat(-INFINITY)));
    }
}

/* Two chains of maxima, neither of which waits for the other. */
static struct vector largest_lanes(const float *scores, size_t blocks) {
    struct vector even = vector_splat(-INFINITY), odd = even;
    for (size_t block = 0; block < blocks / 2 * 2; block += 2) {
        even = vector_max(vector_load(scores + block * KERNEL_LANES), even);
        odd = vector_max(vector_load(scores + (block + 1) * KERNEL_LANES), odd);
    }
    if (blocks % 2 > 0) even = vector_max(vector_load(scores + (blocks - 1) * KERNEL_LANES), even);
    return vector_max(even, odd);
}

/* Weights of two blocks to where they stand as bf16: the upper halves of floats. */
VECTOR_INLINE void weigh_blocks(const float *scores, uint16_t *weights, struct vector scale,
                                struct vector largest) {
    static const uint16_t upper[] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
                                     33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
    __m512i weight[2];
    KERNEL_EACH (b, 2) {
        const struct vector score = vector_multiply(scale, vector_load(scores + b * KERNEL_LANES));
        weight[b] = _mm512_castps_si512(vector_exp_bf16(vector_subtract(score, largest)).lanes);
    }
    _mm512_store_si512((void *)weights,
                       _mm512_permutex2var_epi16(weight[0], _mm512_loadu_si512(upper), weight[1]));
}

/* Of a query: in place, the lower half of what the scores took. */
static void weigh(struct batch *b, size_t i) {
    const size_t blocks = b->end - b->first;
    float *scores = b->scores[i];
    uint16_t *weights = (uint16_t *)(void *)b->scores[i];
    const struct vector scale = vector_splat(b->plain ? b->a->scale : 1.0f),
                        largest = vector_splat(b->largest[i]);
    if (!(b->seen >> i & 1)) {
        memset(weights, 0, blocks * KERNEL_LANES * sizeof *weights);
        return;
    }
    if (blocks % 2 > 0) vector_store(scores + blocks * KERNEL_LANES, vector_splat(0.0f));
    for (size_t block = 0; block < blocks; block += 2)
        weigh_blocks(scores + block * KERNEL_LANES, weights + block * KERNEL_LANES, scale, largest);
}

/* Scores of four queries, but for a scale, and the largest of each: without it, since the scale of a plain batch is
 * positive. */
static void find_largest(struct batch *b, size_t first, float *most) {
    struct vector largest[4];
    KERNEL_EACH (k, 4) {
        const size_t i = first + k;
        largest[k] = vector_splat(0.0f);
        if (!(b->seen >> i & 1)) continue;
        if (!b->plain) finish_scores(b, &b->query[i], b->scores[i]);
        mask_scores(b, &b->query[i], b->first, b->edge_end, b->scores[i]);
        mask_scores(b, &b->query[i], b->edge_first, b->end, b->scores[i]);
        largest[k] = largest_lanes(b->scores[i], b->end - b->first);
    }
    vector_largest_of_four(largest, most);
}

static void softmax(struct batch *b) {
    for (size_t first = 0; first < b->count; first += 4) find_largest(b, first, b->largest + first);
    for (size_t i = 0; i < b->count; i++) {
        if (b->plain) b->largest[i] *= b->a->scale;
        weigh(b, i);
    }
}

/* What a batch makes of the blocks of one chunk: largest, sums, out. */
VECTOR_INLINE void compute_tiles(struct batch *b, bool two_tiles) {
    multiply_all_keys(b, two_tiles);
    softmax(b);
    multiply_all_values(b, two_tiles);
    tile_barrier();
}

static void compute_chunk(struct batch *b, size_t chunk) {
    set_chunk(b, chunk);
    set_blocks(b);
    if (b->count > TILE_ROWS)
        compute_tiles(b, true);
    else
        compute_tiles(b, false);
}
