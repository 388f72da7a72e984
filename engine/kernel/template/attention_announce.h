/* What attention reads and writes, announced (announce.h). */
#pragma once

#include "engine/kernel/template/announce.h"
#include "engine/kernel/template/attention_state.h"

/* Of each position the first element of its key and of its value, and the scales that it has. */
VECTOR_INLINE void attention_announce_cache(const struct attention *a, const uint32_t *pages, size_t first,
                                            size_t end) {
    const struct kv_head *cache = &a->cache;
    const size_t bytes = kv_type_bytes(cache->type);
    for (size_t block = first / KERNEL_LANES; block * KERNEL_LANES < end; block++) {
        const unsigned char *page = attention_page(a, pages, block);
        const size_t start = block * KERNEL_LANES, before = attention_block_offset(a, block);
        const size_t count = end - start < KERNEL_LANES ? end - start : KERNEL_LANES;
        const size_t scales = start % a->page_tokens * sizeof(float);
        if (cache->type == KV_TYPE_BF16) {
            const unsigned char *values = page + cache->values + before;
            const size_t pairs = kv_stored_dim(cache->type, a->head_dim) * 2 * bytes;
            announce_read(page + cache->keys + before, 0, 1, count * 2 * bytes);
            announce_read(values, pairs, (count + 1) / 2, bytes);
            announce_read(values + bytes, pairs, count / 2, bytes);
            continue;
        }
        announce_read(page + cache->keys + before, 0, 1, count * bytes);
        announce_read(page + cache->values + before, a->head_dim * bytes, count, bytes);
        if (cache->type != KV_TYPE_INT8) continue;
        announce_read(page + cache->key_scales + scales, 0, 1, count * sizeof(float));
        announce_read(page + cache->value_scales + scales, 0, 1, count * sizeof(float));
    }
}

/* What a row sees of positions [begin, end) that the row before it has not announced. */
VECTOR_INLINE void attention_announce_keys(const struct attention *a, size_t row, bool is_first, size_t begin,
                                           size_t end) {
    const struct attention_row *r = &a->rows[row];
    size_t first = attention_oldest(a, r->position), behind = r->position + 1;
    if (!is_first && r->pages == r[-1].pages) first = r[-1].position + 1;
    if (first < begin) first = begin;
    if (behind > end) behind = end;
    if (first >= behind) return;
    announce_read(r->pages + first / a->page_tokens, 0, 1,
                  ((behind - 1) / a->page_tokens - first / a->page_tokens + 1) * sizeof *r->pages);
    attention_announce_cache(a, r->pages, first, behind);
}

/* Queries, and the keys and values that they see of positions [begin, end). */
VECTOR_INLINE void attention_announce_inputs(const struct attention *a, size_t row_first, size_t row_count,
                                             size_t begin, size_t end) {
    for (size_t i = row_first; i < row_first + row_count; i++) {
        announce_read_floats(a->rows[i].q + a->column, 0, 1, a->group * a->head_dim);
        attention_announce_keys(a, i, i == row_first, begin, end);
    }
}

VECTOR_INLINE void attention_announce_outputs(const struct attention *a, size_t row_first, size_t row_count) {
    for (size_t i = row_first; i < row_first + row_count; i++)
        announce_write_floats(a->rows[i].out + a->column, 0, 1, a->group * a->head_dim);
}

/* States of so many chunks, of all queries of the rows. */
VECTOR_INLINE void attention_announce_states(const struct attention *a, size_t row_first, size_t row_count,
                                             float *states, size_t stride, size_t chunks) {
    const size_t row = a->group * kernel_attention_state(a->head_dim);
    announce_write_floats(states + row_first * row, stride, chunks, row_count * row);
}

VECTOR_INLINE void attention_announce(const struct attention *a, size_t row_first, size_t row_count) {
    if (!ANNOUNCES) return;
    attention_announce_inputs(a, row_first, row_count, 0, SIZE_MAX);
    attention_announce_outputs(a, row_first, row_count);
}

VECTOR_INLINE void attention_announce_chunk(const struct attention *a, size_t row_first, size_t row_count,
                                            size_t chunk, float *states) {
    if (!ANNOUNCES) return;
    attention_announce_inputs(a, row_first, row_count, chunk * KERNEL_ATTENTION_CHUNK,
                              (chunk + 1) * KERNEL_ATTENTION_CHUNK);
    attention_announce_states(a, row_first, row_count, states, 0, 1);
}

VECTOR_INLINE void attention_announce_merge(const struct attention *a, size_t row_first, size_t row_count,
                                            size_t first_chunk, float *states, size_t stride) {
    if (!ANNOUNCES) return;
    for (size_t i = row_first; i < row_first + row_count; i++) {
        const size_t position = a->rows[i].position;
        const size_t oldest = attention_oldest(a, position) / KERNEL_ATTENTION_CHUNK;
        attention_announce_states(a, i, 1, states + (oldest - first_chunk) * stride, stride,
                                  position / KERNEL_ATTENTION_CHUNK - oldest + 1);
    }
    attention_announce_outputs(a, row_first, row_count);
}
