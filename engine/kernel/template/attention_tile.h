/* A tile of queries of attention (attention.h), the span of keys that it is at, and what is prefetched. */
#pragma once

#include <math.h>
#include <string.h>

#include "engine/kernel/variant.h"

#ifndef ATTENTION_QUERIES
#define ATTENTION_QUERIES 8 /* of a tile, at most; a multiple of 4 */
#endif
#define ATTENTION_SPAN  4 /* blocks of a span */
#define ATTENTION_AHEAD 4 /* blocks from what is computed to what is prefetched */
_Static_assert(ATTENTION_AHEAD >= ATTENTION_SPAN,
               "room for a span's, and none of what the span reads itself");

/* The keys of one block that a query sees: lanes first <= lane < end; none when both are 0. */
struct attention_view {
    size_t first, end;
};

/* What a query has made of some keys: the largest score, lane sums of the weights, weighted values. */
struct attention_state {
    float largest;
    struct vector sums;
    float *values; /* [head_dim] */
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
};

/* A block that will be read soon. Blocks lie anywhere, and the hardware prefetcher stops at the end of a page: each block of
 * a span prefetches one that comes ATTENTION_AHEAD blocks later, its keys along with its own, its values in front of its
 * own. Where lines of a span were counted and dealt out over all its loops, the counting took a fifth of the time. */
struct attention_ahead {
    const unsigned char *keys, *values;
};

struct attention_tile {
    const struct attention *a;
    struct attention_ahead ahead[ATTENTION_AHEAD]; /* prefetched during this span */
    size_t ahead_count;
    size_t index, count; /* of its first query, and queries */
    struct attention_query query[ATTENTION_QUERIES];

    size_t blocks; /* of this span */
    size_t first_block;
    bool all_see[ATTENTION_SPAN]; /* each query sees all keys of the block */
    bool one_chunk;               /* states stay apart, for attention_merge */
    const unsigned char *keys[ATTENTION_SPAN], *values[ATTENTION_SPAN];     /* of the cache's type */
    const float *key_scales[ATTENTION_SPAN], *value_scales[ATTENTION_SPAN]; /* NULL but for int8 */
    /* Per query and block: scores, then weights (with the values' scales in them); the factor that the values
     * so far are to be multiplied by. */
    _Alignas(KERNEL_ALIGN) float weight[ATTENTION_QUERIES][ATTENTION_SPAN][KERNEL_LANES];
    _Alignas(KERNEL_ALIGN) float factor[ATTENTION_QUERIES][ATTENTION_SPAN];
    /* The largest score before and after each block. */
    float before[ATTENTION_QUERIES][ATTENTION_SPAN], largest[ATTENTION_QUERIES][ATTENTION_SPAN];
    struct attention_view view[ATTENTION_QUERIES][ATTENTION_SPAN];
};

/* The first position that a query sees. */
static size_t attention_oldest(const struct attention *a, size_t position) {
    return a->window && position >= a->window ? position - a->window + 1 : 0;
}

static struct attention_view attention_view_of(const struct attention_query *query, size_t block) {
    size_t start = block * KERNEL_LANES, end = start + KERNEL_LANES;
    size_t first = query->oldest > start ? query->oldest : start;
    if (query->position + 1 < end) end = query->position + 1;
    if (first >= end) return (struct attention_view){0, 0};
    return (struct attention_view){first - start, end - start};
}

static bool attention_sees_all(struct attention_view view) {
    return view.end - view.first == KERNEL_LANES;
}

/* What a query sees of the span; all of it, mostly. */
static void attention_set_views(struct attention_tile *t, size_t i) {
    const struct attention_query *query = &t->query[i];
    const size_t start = t->first_block * KERNEL_LANES, end = start + t->blocks * KERNEL_LANES;
    const bool all = query->oldest <= start && query->position + 1 >= end;
    for (size_t b = 0; b < t->blocks; b++) {
        t->view[i][b] =
            all ? (struct attention_view){0, KERNEL_LANES} : attention_view_of(query, t->first_block + b);
        t->all_see[b] &= attention_sees_all(t->view[i][b]);
    }
}

static const unsigned char *attention_page(const struct attention *a, const uint32_t *pages, size_t block) {
    return a->pool + pages[block * KERNEL_LANES / a->page_tokens] * a->page_stride;
}

/* Bytes from the first keys (or values) of a page to those of a block of it. */
static size_t attention_block_offset(const struct attention *a, size_t block) {
    return block * KERNEL_LANES % a->page_tokens * a->head_dim * kv_type_bytes(a->cache.type);
}

/* Keys, or values, of a block. */
VECTOR_INLINE void attention_prefetch_block(const unsigned char *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += KERNEL_ALIGN) __builtin_prefetch(from + i, 0, 3);
}

/* Bytes of the keys of a block; of its values too. */
static size_t attention_block_bytes(const struct attention *a) {
    return KERNEL_LANES * a->head_dim * kv_type_bytes(a->cache.type);
}

/* Another block that is prefetched during this span. */
static void attention_add_ahead(struct attention_tile *t, const struct attention *a, const uint32_t *pages,
                                size_t block) {
    const unsigned char *page = attention_page(a, pages, block);
    const size_t before = attention_block_offset(a, block);
    struct attention_ahead *ahead = &t->ahead[t->ahead_count++];
    ahead->keys = page + a->cache.keys + before;
    ahead->values = page + a->cache.values + before;
    if (a->cache.type == KV_TYPE_INT8) {
        const size_t scale = block * KERNEL_LANES % a->page_tokens * sizeof(float);
        __builtin_prefetch(page + a->cache.key_scales + scale, 0, 3);
        __builtin_prefetch(page + a->cache.value_scales + scale, 0, 3);
    }
}

/* Where the blocks of a span lie, and who sees what of them. */
static void attention_set_span(struct attention_tile *t, const uint32_t *pages, size_t first_block,
                               size_t blocks) {
    const struct attention *a = t->a;
    const struct kv_head *cache = &a->cache;
    t->first_block = first_block;
    t->blocks = blocks;
    for (size_t b = 0; b < blocks; b++) {
        size_t in_page = (first_block + b) * KERNEL_LANES % a->page_tokens;
        const unsigned char *page = attention_page(a, pages, first_block + b);
        t->keys[b] = page + cache->keys + attention_block_offset(a, first_block + b);
        t->values[b] = page + cache->values + attention_block_offset(a, first_block + b);
        t->key_scales[b] = t->value_scales[b] = NULL;
        t->all_see[b] = true;
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
    case KV_TYPE_COUNT:
        break;
    }
    return vector_load_first((const float *)(const void *)from + index, lanes);
}
