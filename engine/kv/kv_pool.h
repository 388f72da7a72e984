/* A fixed pool of cache pages. Owned by the scheduler thread; no locks.
 *
 * One page holds `page_tokens` positions of every layer and key/value head:
 *   [layer][kv_head] { keys [page_tokens / 16][head_dim][16], values [page_tokens][head_dim] }
 * in the type of the layout; behind int8 stand the scales of keys and of values, float [page_tokens] each, and bf16 goes
 * in pairs (struct kv_head).
 * Each part starts at a multiple of KERNEL_ALIGN bytes. Keys lie transposed in blocks of 16 positions, so
 * that the scores of a block are one vector. Scales belong to one position, so that what a position holds
 * does not depend on what shares its page.
 *
 * A page is counted: each page table that holds it has one reference. Taken with one reference, it returns to
 * the pool when the last is released. A page with more than one reference is read only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/kernel/kernel.h"

struct kv_layout {
    size_t layers, kv_heads, head_dim, page_tokens;
    enum kv_type type;
};

struct kv_prefix;

struct kv_pool {
    struct kv_layout layout;
    unsigned char *memory; /* mapped, zero until written */
    size_t page_bytes, mapped_bytes;
    uint32_t page_count, free_count;
    uint32_t *free_pages;     /* a stack */
    uint32_t *references;     /* [page_count] */
    struct kv_prefix *prefix; /* NULL: content is forgotten with the last reference */
};

/* The pages of one sequence, in order of position. */
struct kv_table {
    uint32_t *pages;
    size_t count, capacity; /* capacity is fixed at init: pages of the longest context */
};

/* Bytes of a page. STATUS_INVALID_ARGUMENT: an empty layout, page_tokens no multiple of 16, or more than can
 * be addressed. */
enum status kv_page_bytes(const struct kv_layout *layout, size_t *bytes, struct error *e);

/* Where a layer's head lies in each page. The layout is one that kv_page_bytes accepts. */
struct kv_head kv_head_of(const struct kv_layout *layout, size_t layer, size_t head);

static inline unsigned char *kv_page(const struct kv_pool *pool, uint32_t page) {
    return pool->memory + page * pool->page_bytes;
}

/* Pages that `positions` positions fill. */
static inline size_t kv_pages_for(size_t positions, size_t page_tokens) {
    return positions / page_tokens + (positions % page_tokens != 0);
}

/* Reserves address space for `pages` pages; memory is used as pages are written. STATUS_INVALID_ARGUMENT: an
 * empty layout, page_tokens no multiple of 16, or a size beyond what can be addressed; STATUS_NO_MEMORY. */
enum status kv_pool_init(struct kv_pool *pool, const struct kv_layout *layout, size_t pages, struct error *e);
void kv_pool_deinit(struct kv_pool *pool);

/* Bytes that a pool keeps about each page, beside its content. */
static inline size_t kv_pool_index_bytes(void) {
    return 2 * sizeof(uint32_t);
}

/* Pages that could be taken: free and idle ones. */
size_t kv_pool_available(const struct kv_pool *pool);

/* Takes a page; its content is undefined. STATUS_LIMIT when none is available. */
enum status kv_pool_take_page(struct kv_pool *pool, uint32_t *page);
/* One reference more on a page that is held or idle. */
void kv_pool_retain_page(struct kv_pool *pool, uint32_t page);
void kv_pool_release_page(struct kv_pool *pool, uint32_t page);

/* Copies one held page into another that nobody shares: copy on write, where sequences diverge inside a
 * page. */
void kv_pool_copy_page(struct kv_pool *pool, uint32_t to, uint32_t from);

enum status kv_table_init(struct kv_table *table, size_t capacity, struct error *e);
void kv_table_deinit(struct kv_table *table); /* its pages must have been given back */

/* Makes the table cover `positions` positions, taking pages from the pool: all or none. STATUS_LIMIT when the
 * pool has too few. */
enum status kv_table_reserve(struct kv_table *table, struct kv_pool *pool, size_t positions);

/* Puts pages that others hold, or idle ones, in front of an empty table; a reference on each. */
void kv_table_adopt(struct kv_table *table, struct kv_pool *pool, const uint32_t *pages, size_t count);

/* Returns the pages beyond `positions` to the pool (0: all pages), the last one first. */
void kv_table_shrink(struct kv_table *table, struct kv_pool *pool, size_t positions);
