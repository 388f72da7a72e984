/* Where attention finds keys and values in the cache, and what of them it announces. */
#pragma once

#include "engine/kernel/template/announce.h"

/* The first position that a query sees. */
static size_t attention_oldest(const struct attention *a, size_t position) {
    return a->window && position >= a->window ? position - a->window + 1 : 0;
}

static const unsigned char *attention_page(const struct attention *a, size_t block) {
    return a->pool + a->pages[block * KERNEL_LANES / a->page_tokens] * a->page_stride;
}

/* Bytes from the first keys (or values) of a page to those of a block of it. */
static size_t attention_block_offset(const struct attention *a, size_t block) {
    return block * KERNEL_LANES % a->page_tokens * a->head_dim * kv_type_bytes(a->cache.type);
}

/* Of each position the first element of its key and of its value, and the scales that it has. */
static void attention_announce_cache(const struct attention *a, size_t first, size_t end) {
    const struct kv_head *cache = &a->cache;
    const size_t bytes = kv_type_bytes(cache->type);
    for (size_t block = first / KERNEL_LANES; block * KERNEL_LANES < end; block++) {
        const unsigned char *page = attention_page(a, block);
        const size_t start = block * KERNEL_LANES, before = attention_block_offset(a, block);
        const size_t count = end - start < KERNEL_LANES ? end - start : KERNEL_LANES;
        const size_t scales = start % a->page_tokens * sizeof(float);
        announce_read(page + cache->keys + before, 0, 1, count * bytes);
        announce_read(page + cache->values + before, a->head_dim * bytes, count, bytes);
        if (cache->type != KV_TYPE_INT8) continue;
        announce_read(page + cache->key_scales + scales, 0, 1, count * sizeof(float));
        announce_read(page + cache->value_scales + scales, 0, 1, count * sizeof(float));
    }
}

static void attention_announce(const struct attention *a, size_t row_first, size_t row_count) {
    if (!ANNOUNCES || row_count == 0) return;
    const size_t width = a->group * a->head_dim, position = a->first_position + row_first;
    const size_t oldest = attention_oldest(a, position), end = position + row_count;
    announce_read(a->pages + oldest / a->page_tokens, sizeof *a->pages,
                  (end - 1) / a->page_tokens - oldest / a->page_tokens + 1, sizeof *a->pages);
    announce_read_floats(a->q + row_first * a->q_stride, a->q_stride, row_count, width);
    announce_write_floats(a->out + row_first * a->out_stride, a->out_stride, row_count, width);
    attention_announce_cache(a, oldest, end);
}
