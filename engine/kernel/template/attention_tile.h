/* A tile of queries of attention (attention.h), the span of keys that it is at, and what is prefetched. */
#pragma once

#include <math.h>
#include <string.h>

#include "engine/kernel/template/attention_state.h"

#define ATTENTION_FEW 8 /* queries that go together in every set; a multiple of 4 */
#ifndef ATTENTION_QUERIES
#define ATTENTION_QUERIES ATTENTION_FEW /* of a tile, at most; a multiple of 4 */
#endif
#ifndef ATTENTION_WIDENS
#define ATTENTION_WIDENS                                                                                     \
    SIZE_MAX /* so many queries, and more, have narrower keys and values made floats once for all */
#endif
#ifndef ATTENTION_FLOATS_FAR
#define ATTENTION_FLOATS_FAR false /* floats are prefetched into the second-level cache */
#endif
#define ATTENTION_NARROW 256 /* elements of a head that is not a wide one */
#define ATTENTION_SPAN   4   /* blocks of a span */
#define ATTENTION_AHEAD  4   /* blocks from what is computed to what is prefetched */
#define ATTENTION_WIDE_FLOATS                                                                                \
    (ATTENTION_WIDENS <= ATTENTION_QUERIES ? ATTENTION_SPAN * KERNEL_LANES * ATTENTION_NARROW : KERNEL_LANES)
_Static_assert(ATTENTION_AHEAD >= ATTENTION_SPAN,
               "room for a span's, and none of what the span reads itself");

/* The keys of one block that a query sees: lanes first <= lane < end; none when both are 0. */
struct attention_view {
    uint8_t first, end;
};

struct attention_query {
    const float *q;
    float *out;
    const float *alibi;    /* of its head, or NULL */
    const uint32_t *pages; /* of its sequence */
    size_t position;
    size_t oldest;                        /* first position that it sees */
    struct attention_state chunk, merged; /* of the chunk at hand, and of those before it */
    bool has_merged;
    float *spare; /* [head_dim]: values of a chunk while `out` has those of the chunks before */
    /* [KERNEL_ATTENTION_CHUNK], of bf16 alone: scores of the chunk's keys, then weights; those of the tile's next query are
     * behind. */
    float *weights;
};

/* What is done with a span: all, or one of two sweeps over the spans of a chunk, between which its softmax is. */
enum attention_sweep { ATTENTION_ALL, ATTENTION_SCORES, ATTENTION_VALUES };

struct attention_tile {
    const struct attention *a;
    /* Blocks that will be read soon. Blocks lie anywhere, and the hardware prefetcher stops at the end of a page: each block
     * of a span prefetches one that comes ATTENTION_AHEAD blocks later, its keys along with its own, its values in front of
     * its own. Where lines of a span were counted and dealt out over all its loops, the counting took a fifth of the time. */
    const unsigned char *ahead_keys[ATTENTION_AHEAD], *ahead_values[ATTENTION_AHEAD];
    size_t ahead_count;
    size_t index, count; /* of its first query, and queries */
    struct attention_query query[ATTENTION_QUERIES];

    enum attention_sweep sweep;
    size_t blocks; /* of this span */
    size_t first_block;
    bool one_chunk;    /* states stay apart, for attention_merge */
    float *wide;       /* room for the keys or the values of a span as floats, or NULL */
    enum kv_type type; /* as what they are read */
    const unsigned char *keys[ATTENTION_SPAN], *values[ATTENTION_SPAN];
    const float *key_scales[ATTENTION_SPAN], *value_scales[ATTENTION_SPAN]; /* NULL but for int8 */
    /* Per query and block: scores, then weights (with the values' scales in them); the factor that the values
     * so far are to be multiplied by. */
    _Alignas(KERNEL_ALIGN) float weight[ATTENTION_QUERIES][ATTENTION_SPAN][KERNEL_LANES];
    _Alignas(KERNEL_ALIGN) float factor[ATTENTION_QUERIES][ATTENTION_SPAN];
    /* The largest score before and after each block. */
    float before[ATTENTION_QUERIES][ATTENTION_SPAN], largest[ATTENTION_QUERIES][ATTENTION_SPAN];
    struct attention_view view[ATTENTION_QUERIES][ATTENTION_SPAN];
    /* Bit b: it sees some keys, or all, of block b of the span. */
    uint8_t sees_some[ATTENTION_QUERIES], sees_all[ATTENTION_QUERIES];
};

static struct attention_view attention_view_of(const struct attention_query *query, size_t block) {
    size_t start = block * KERNEL_LANES, end = start + KERNEL_LANES;
    size_t first = query->oldest > start ? query->oldest : start;
    if (query->position + 1 < end) end = query->position + 1;
    if (first >= end) return (struct attention_view){0, 0};
    return (struct attention_view){(uint8_t)(first - start), (uint8_t)(end - start)};
}

static bool attention_sees_all(struct attention_view view) {
    return view.end - view.first == KERNEL_LANES;
}

/* Bits of blocks [first, end) of the span. */
static unsigned attention_block_bits(const struct attention_tile *t, size_t first, size_t end) {
    first = first > t->first_block ? first - t->first_block : 0;
    end = end > t->first_block ? end - t->first_block : 0;
    if (end > t->blocks) end = t->blocks;
    return first < end ? (1u << end) - (1u << first) : 0;
}

/* What a query sees of the span; all of it, mostly. */
static void attention_set_views(struct attention_tile *t, size_t i) {
    const struct attention_query *query = &t->query[i];
    const size_t oldest = query->oldest, behind = query->position + 1, start = t->first_block * KERNEL_LANES,
                 end = start + t->blocks * KERNEL_LANES;
    struct attention_view view[ATTENTION_SPAN];
    unsigned some = (1u << t->blocks) - 1, all = some;
    KERNEL_EACH (b, ATTENTION_SPAN) view[b] = (struct attention_view){0, KERNEL_LANES};
    if (oldest > start || behind < end) {
        some = attention_block_bits(t, oldest / KERNEL_LANES, (behind + KERNEL_LANES - 1) / KERNEL_LANES);
        all = attention_block_bits(t, (oldest + KERNEL_LANES - 1) / KERNEL_LANES, behind / KERNEL_LANES);
        KERNEL_EACH (b, ATTENTION_SPAN) view[b] = attention_view_of(query, t->first_block + b);
    }
    memcpy(t->view[i], view, sizeof view);
    t->sees_some[i] = (uint8_t)some;
    t->sees_all[i] = (uint8_t)all;
}

/* Blocks of the span: first <= b < end; none where both are 0. */
struct attention_blocks {
    size_t first, end;
    unsigned seen_by_all; /* bit b: each of the queries sees all keys of block b */
};

/* Those of which some of the queries see a key. */
VECTOR_INLINE struct attention_blocks attention_blocks_of(const struct attention_tile *t, size_t query,
                                                          size_t queries) {
    unsigned some = 0, all = ~0u;
    KERNEL_EACH (i, queries) {
        some |= t->sees_some[query + i];
        all &= t->sees_all[query + i];
    }
    if (some == 0) return (struct attention_blocks){0};
    return (struct attention_blocks){(size_t)__builtin_ctz(some), 32 - (size_t)__builtin_clz(some), all};
}

/* A line of a block that is ahead. A span of floats takes half of a first-level cache and more. */
VECTOR_INLINE void attention_prefetch_line(enum kv_type type, const unsigned char *from) {
    if (ATTENTION_FLOATS_FAR && type == KV_TYPE_F32)
        __builtin_prefetch(from, 0, 2);
    else
        __builtin_prefetch(from, 0, 3);
}

/* Keys, or values, of a block. */
VECTOR_INLINE void attention_prefetch_block(enum kv_type type, const unsigned char *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += KERNEL_ALIGN) attention_prefetch_line(type, from + i);
}

/* Another block that is prefetched during this span: what the sweep that it comes in reads of it. */
static void attention_add_ahead(struct attention_tile *t, const struct attention *a, const uint32_t *pages,
                                size_t block, enum attention_sweep sweep) {
    const unsigned char *page = attention_page(a, pages, block);
    const size_t before = attention_block_offset(a, block);
    const unsigned char *keys = page + a->cache.keys + before, *values = page + a->cache.values + before;
    t->ahead_keys[t->ahead_count] = sweep == ATTENTION_VALUES ? values : keys;
    t->ahead_values[t->ahead_count++] = sweep == ATTENTION_SCORES ? keys : values;
    if (a->cache.type == KV_TYPE_INT8) {
        const size_t scale = block * KERNEL_LANES % a->page_tokens * sizeof(float);
        __builtin_prefetch(page + a->cache.key_scales + scale, 0, 3);
        __builtin_prefetch(page + a->cache.value_scales + scale, 0, 3);
    }
}

/* Whether a query, and those that go with it, prefetch what is ahead: the first ones, where widening did not. */
static bool attention_prefetches(const struct attention_tile *t, size_t query) {
    return query == 0 && t->ahead_count > 0 && t->type == t->a->cache.type;
}

/* Where the blocks of a span lie, and who sees what of them. */
static void attention_set_span(struct attention_tile *t, const uint32_t *pages, size_t first_block,
                               size_t blocks) {
    const struct attention *a = t->a;
    const struct kv_head *cache = &a->cache;
    t->first_block = first_block;
    t->blocks = blocks;
    t->type = cache->type;
    for (size_t b = 0; b < blocks; b++) {
        size_t in_page = (first_block + b) * KERNEL_LANES % a->page_tokens;
        const unsigned char *page = attention_page(a, pages, first_block + b);
        t->keys[b] = page + cache->keys + attention_block_offset(a, first_block + b);
        t->values[b] = page + cache->values + attention_block_offset(a, first_block + b);
        t->key_scales[b] = t->value_scales[b] = NULL;
        if (cache->type == KV_TYPE_INT8) {
            t->key_scales[b] = (const float *)(const void *)(page + cache->key_scales) + in_page;
            t->value_scales[b] = (const float *)(const void *)(page + cache->value_scales) + in_page;
        }
    }
    for (size_t i = 0; i < t->count; i++) attention_set_views(t, i);
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
    case KV_TYPE_BF16: /* attention_load_half */
    case KV_TYPE_COUNT:
        break;
    }
    return vector_load_first((const float *)(const void *)from + index, lanes);
}

/* Of a block of bf16 one half of each of sixteen pairs, the first of which is `index`. As floats (KV_TYPE_F32) a block has the
 * even halves of all its pairs, then the odd ones. */
VECTOR_INLINE struct vector attention_load_half(enum kv_type type, const unsigned char *from, size_t pairs,
                                                size_t index, enum parity parity, size_t lanes) {
    if (type == KV_TYPE_BF16)
        return vector_load_bf16_first((const uint16_t *)(const void *)from + 2 * index, parity, lanes);
    return vector_load_first((const float *)(const void *)from + parity * pairs + index, lanes);
}

/* Pairs of a block of bf16: of keys [dim / 2][16], of values [8][dim]. */
static size_t attention_block_pairs(const struct attention *a) {
    return KERNEL_LANES / 2 * kv_stored_dim(KV_TYPE_BF16, a->head_dim);
}
