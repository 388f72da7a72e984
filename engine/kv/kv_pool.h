/* A fixed pool of cache pages, and a sequence's page table. Owned by the scheduler thread.
 *
 * One page holds `page_tokens` positions of every layer and key/value head:
 *   [layer][kv_head] { keys [page_tokens / 16][head_dim][16], values [page_tokens][head_dim] }
 * Keys lie transposed in blocks of 16 positions, so that the scores of a block are one vector. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct kv_layout {
    size_t layers, kv_heads, head_dim, page_tokens;
};

struct kv_pool {
    struct kv_layout layout;
    float *memory; /* mapped, zero until written */
    size_t page_floats;
    uint32_t page_count, free_count;
    uint32_t *free_pages; /* a stack */
};

/* The pages of one sequence, in order of position. */
struct kv_table {
    uint32_t *pages;
    size_t count, capacity; /* capacity is fixed at init: pages of the longest context */
};

static inline size_t kv_page_floats(const struct kv_layout *l) {
    return l->layers * l->kv_heads * l->page_tokens * l->head_dim * 2;
}

/* Offsets in a page, in floats. */
static inline size_t kv_key_offset(const struct kv_layout *l, size_t layer, size_t head) {
    return (layer * l->kv_heads + head) * l->page_tokens * l->head_dim * 2;
}
static inline size_t kv_value_offset(const struct kv_layout *l, size_t layer, size_t head) {
    return kv_key_offset(l, layer, head) + l->page_tokens * l->head_dim;
}

/* Reserves address space for `pages` pages; memory is used as pages are written. */
enum status kv_pool_init(struct kv_pool *pool, const struct kv_layout *layout, size_t pages, struct error *e);
void kv_pool_deinit(struct kv_pool *pool);

enum status kv_table_init(struct kv_table *table, size_t capacity, struct error *e);
void kv_table_deinit(struct kv_table *table); /* its pages must have been given back */

/* Makes the table cover `positions` positions, taking pages from the pool: all or none. STATUS_LIMIT when the pool has
 * too few. */
enum status kv_table_reserve(struct kv_table *table, struct kv_pool *pool, size_t positions);

/* Gives the pages beyond `positions` back (0: all). */
void kv_table_shrink(struct kv_table *table, struct kv_pool *pool, size_t positions);
