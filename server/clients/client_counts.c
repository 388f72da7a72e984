#include "server/clients/client_counts.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

/* A power of 2. */
static size_t entries_for(size_t requests_max) {
    size_t count = 2;
    while (count / 2 < requests_max) count *= 2;
    return count;
}

size_t client_counts_bytes(size_t most, size_t requests_max) {
    return most == 0 ? 0 : entries_for(requests_max) * sizeof(struct client_count);
}

enum status client_counts_init(struct client_counts *counts, size_t most, size_t requests_max,
                               struct error *e) {
    *counts = (struct client_counts){.most = most, .entry_count = entries_for(requests_max)};
    if (most == 0) return STATUS_OK;
    counts->entries = calloc(counts->entry_count, sizeof *counts->entries);
    if (counts->entries &&
        getrandom(&counts->hash_seed, sizeof counts->hash_seed, 0) == (ssize_t)sizeof counts->hash_seed)
        return STATUS_OK;
    client_counts_deinit(counts);
    return error_set(e, STATUS_NO_MEMORY, "max-requests-per-client", "a table for %zu requests",
                     requests_max);
}

void client_counts_deinit(struct client_counts *counts) {
    free(counts->entries);
    *counts = (struct client_counts){0};
}

static size_t home_of(const struct client_counts *counts, uint64_t client) {
    uint64_t hash = (client ^ counts->hash_seed) * 0x9E3779B97F4A7C15u;
    hash = (hash ^ hash >> 32 ^ counts->hash_seed >> 7) * 0x9E3779B97F4A7C15u;
    return (size_t)(hash ^ hash >> 32) & (counts->entry_count - 1);
}

/* Its entry, or the empty one that it would have. */
static size_t find(const struct client_counts *counts, uint64_t client) {
    size_t at = home_of(counts, client);
    while (counts->entries[at].requests && counts->entries[at].client != client)
        at = (at + 1) & (counts->entry_count - 1);
    return at;
}

enum client_counts_answer client_counts_take(struct client_counts *counts, uint64_t client) {
    if (counts->most == 0) return CLIENT_COUNTS_TAKEN;
    struct client_count *entry = &counts->entries[find(counts, client)];
    if (entry->requests >= counts->most) return CLIENT_COUNTS_AT_LIMIT;
    if (entry->requests == 0 && counts->client_count == counts->entry_count / 2) return CLIENT_COUNTS_FULL;
    counts->client_count += entry->requests == 0;
    entry->client = client;
    entry->requests++;
    return CLIENT_COUNTS_TAKEN;
}

/* What stands behind an entry that became empty, and would not be found past it, moves into it. */
static void close_gap(struct client_counts *counts, size_t gap) {
    size_t mask = counts->entry_count - 1;
    for (size_t at = (gap + 1) & mask; counts->entries[at].requests; at = (at + 1) & mask) {
        size_t home = home_of(counts, counts->entries[at].client);
        if (((at - home) & mask) < ((at - gap) & mask)) continue;
        counts->entries[gap] = counts->entries[at];
        counts->entries[at].requests = 0;
        gap = at;
    }
}

void client_counts_give(struct client_counts *counts, uint64_t client) {
    if (counts->most == 0) return;
    size_t at = find(counts, client);
    assert(counts->entries[at].requests > 0);
    if (--counts->entries[at].requests > 0) return;
    counts->client_count--;
    close_gap(counts, at);
}
