#include "engine/kv/kv_prefix.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"

enum status kv_prefix_init(struct kv_prefix *prefix, const struct kv_pool *pool, struct error *e) {
    *prefix = (struct kv_prefix){.page_tokens = pool->layout.page_tokens,
                                 .bucket_count = 1,
                                 .oldest = KV_PREFIX_NONE,
                                 .newest = KV_PREFIX_NONE};
    size_t tokens;
    while (prefix->bucket_count < pool->page_count) prefix->bucket_count *= 2;
    if (memory_multiply(pool->page_count, prefix->page_tokens, &tokens)) {
        prefix->entries = calloc(pool->page_count, sizeof *prefix->entries);
        prefix->tokens = calloc(tokens, sizeof *prefix->tokens);
        prefix->buckets = malloc(prefix->bucket_count * sizeof *prefix->buckets);
    }
    if (!prefix->entries || !prefix->tokens || !prefix->buckets) {
        kv_prefix_deinit(prefix);
        return error_set(e, STATUS_NO_MEMORY, "prefix index", "of %u pages", pool->page_count);
    }
    for (size_t i = 0; i < prefix->bucket_count; i++) prefix->buckets[i] = KV_PREFIX_NONE;
    if (getrandom(&prefix->hash_seed, sizeof prefix->hash_seed, GRND_NONBLOCK) !=
        (long)sizeof prefix->hash_seed)
        prefix->hash_seed = clock_ns();
    return STATUS_OK;
}

void kv_prefix_deinit(struct kv_prefix *prefix) {
    free(prefix->entries);
    free(prefix->tokens);
    free(prefix->buckets);
    *prefix = (struct kv_prefix){0};
}

/* ---- content ------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 32;
}

static size_t bucket_of(const struct kv_prefix *prefix, const struct kv_prefix_cursor *cursor,
                        const int32_t *tokens) {
    uint64_t hash = mix(mix(prefix->hash_seed, cursor->salt), cursor->serial);
    for (size_t i = 0; i < prefix->page_tokens; i++) hash = mix(hash, (uint32_t)tokens[i]);
    return mix(hash, prefix->hash_seed) & (prefix->bucket_count - 1);
}

static bool is_same(const struct kv_prefix *prefix, uint32_t page, const struct kv_prefix_cursor *cursor,
                    const int32_t *tokens) {
    const struct kv_prefix_entry *entry = &prefix->entries[page];
    return entry->parent == cursor->serial && entry->salt == cursor->salt &&
           memcmp(prefix->tokens + page * prefix->page_tokens, tokens,
                  prefix->page_tokens * sizeof *tokens) == 0;
}

static uint32_t find(const struct kv_prefix *prefix, size_t bucket, const struct kv_prefix_cursor *cursor,
                     const int32_t *tokens) {
    uint32_t page = prefix->buckets[bucket];
    while (page != KV_PREFIX_NONE && !is_same(prefix, page, cursor, tokens))
        page = prefix->entries[page].chain;
    return page;
}

size_t kv_prefix_match(const struct kv_prefix *prefix, const int32_t *tokens, size_t most,
                       struct kv_prefix_cursor *cursor, uint32_t *pages) {
    size_t count = 0;
    for (; count < most; count++) {
        const int32_t *own = tokens + count * prefix->page_tokens;
        uint32_t page = find(prefix, bucket_of(prefix, cursor, own), cursor, own);
        if (page == KV_PREFIX_NONE) break;
        pages[count] = page;
        cursor->serial = prefix->entries[page].serial;
    }
    return count;
}

void kv_prefix_add(struct kv_prefix *prefix, struct kv_prefix_cursor *cursor, uint32_t page,
                   const int32_t *tokens) {
    size_t bucket = bucket_of(prefix, cursor, tokens);
    uint32_t known = find(prefix, bucket, cursor, tokens);
    struct kv_prefix_entry *entry = &prefix->entries[page];
    if (known == KV_PREFIX_NONE) {
        assert(entry->serial == 0);
        *entry = (struct kv_prefix_entry){.serial = ++prefix->last_serial,
                                          .parent = cursor->serial,
                                          .salt = cursor->salt,
                                          .chain = prefix->buckets[bucket]};
        memcpy(prefix->tokens + page * prefix->page_tokens, tokens, prefix->page_tokens * sizeof *tokens);
        prefix->buckets[bucket] = known = page;
    }
    cursor->serial = prefix->entries[known].serial;
}

/* ---- idle pages ---------------------------------------------------------------------------------------- */

static void unlink_idle(struct kv_prefix *prefix, uint32_t page) {
    struct kv_prefix_entry *entry = &prefix->entries[page];
    if (entry->older == KV_PREFIX_NONE)
        prefix->oldest = entry->newer;
    else
        prefix->entries[entry->older].newer = entry->newer;
    if (entry->newer == KV_PREFIX_NONE)
        prefix->newest = entry->older;
    else
        prefix->entries[entry->newer].older = entry->older;
    prefix->idle_count--;
}

static void forget(struct kv_prefix *prefix, uint32_t page) {
    struct kv_prefix_entry *entry = &prefix->entries[page];
    struct kv_prefix_cursor cursor = {.salt = entry->salt, .serial = entry->parent};
    uint32_t *link =
        &prefix->buckets[bucket_of(prefix, &cursor, prefix->tokens + page * prefix->page_tokens)];
    while (*link != page) link = &prefix->entries[*link].chain;
    *link = entry->chain;
    entry->serial = 0;
}

bool kv_prefix_evict(struct kv_prefix *prefix, uint32_t *page) {
    if (prefix->idle_count == 0) return false;
    *page = prefix->oldest;
    unlink_idle(prefix, *page);
    forget(prefix, *page);
    return true;
}

void kv_prefix_hold(struct kv_prefix *prefix, uint32_t page) {
    assert(prefix->entries[page].serial != 0);
    unlink_idle(prefix, page);
}

bool kv_prefix_leave_idle(struct kv_prefix *prefix, uint32_t page) {
    struct kv_prefix_entry *entry = &prefix->entries[page];
    if (entry->serial == 0) return false;
    entry->older = prefix->newest;
    entry->newer = KV_PREFIX_NONE;
    if (prefix->newest == KV_PREFIX_NONE)
        prefix->oldest = page;
    else
        prefix->entries[prefix->newest].newer = page;
    prefix->newest = page;
    prefix->idle_count++;
    return true;
}
