/* Full pages by their content, so that sequences with the same beginning share them. Scheduler thread.
 *
 * What a page holds follows from all tokens up to its end and from the sequence's salt (what else changes
 * keys and values: the rotary base). So a page is known by (what comes before it, its own tokens), where what
 * comes before is the serial number of the page before it: a number that is given once to each content that
 * is added and never again. Two entries are the same only if their tokens are compared and equal; a hash only
 * finds candidates, and its seed is random, so that nobody can choose prompts that collide.
 *
 * An indexed page that nobody holds is idle. When a page is taken and none is free, the least recently used
 * idle one is forgotten. A sequence gives its last pages back first, so ends go before the beginnings that
 * others may share. */
#pragma once

#include <stdbool.h>

#include "engine/kv/kv_pool.h"

#define KV_PREFIX_NONE UINT32_MAX

struct kv_prefix_entry {
    uint64_t serial; /* 0: not indexed */
    uint64_t parent; /* serial of the page before; 0: the first */
    uint64_t salt;
    uint32_t chain;        /* next of the same bucket */
    uint32_t older, newer; /* idle list */
};

struct kv_prefix {
    struct kv_prefix_entry *entries; /* [pages] */
    int32_t *tokens;                 /* [pages][page_tokens] */
    uint32_t *buckets;
    size_t bucket_count, page_tokens; /* a power of 2 */
    uint64_t last_serial, hash_seed;
    uint32_t oldest, newest; /* of the idle ones */
    size_t idle_count;
};

/* The position of a sequence in the index: the page that its next page follows. Start from {salt}. */
struct kv_prefix_cursor {
    uint64_t salt;
    uint64_t serial; /* of its last indexed page; 0 at the start */
};

/* An empty index; set pool->prefix to it. The pool must outlive no page that the index knows: deinit both
 * together. */
enum status kv_prefix_init(struct kv_prefix *prefix, const struct kv_pool *pool, struct error *e);
void kv_prefix_deinit(struct kv_prefix *prefix);

/* Bytes that an index keeps about each page; of buckets there are up to twice as many as pages. */
static inline size_t kv_prefix_index_bytes(size_t page_tokens) {
    return sizeof(struct kv_prefix_entry) + page_tokens * sizeof(int32_t) + 2 * sizeof(uint32_t);
}

/* The longest run of known pages at the start of tokens, at most `most` of them: pages[most] and the place
 * behind them are filled. Changes nothing: retain them (kv_table_adopt) before anything is taken. */
size_t kv_prefix_match(const struct kv_prefix *prefix, const int32_t *tokens, size_t most,
                       struct kv_prefix_cursor *cursor, uint32_t *pages);

/* Adds a held, full page that follows the cursor, and moves the cursor behind it. Where the same content is
 * known already, the page is not added and the cursor moves behind the known one. */
void kv_prefix_add(struct kv_prefix *prefix, struct kv_prefix_cursor *cursor, uint32_t page,
                   const int32_t *tokens);

/* For kv_pool.c. */
bool kv_prefix_evict(struct kv_prefix *prefix,
                     uint32_t *page); /* the least recently used idle page is forgotten */
void kv_prefix_hold(struct kv_prefix *prefix, uint32_t page);       /* an idle page is idle no more */
bool kv_prefix_leave_idle(struct kv_prefix *prefix, uint32_t page); /* false: it is not indexed */
