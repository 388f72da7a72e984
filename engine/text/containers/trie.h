/* A byte trie that is built once and then read: all keys that begin at a place of a text, shortest first. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct trie_edge {
    uint64_t key; /* (parent << 8 | byte) + 1; 0: a free place */
    uint32_t child;
};

struct trie {
    struct trie_edge *edges; /* open addressing */
    size_t edge_capacity, edge_count;
    int32_t *values; /* [node], -1: no key ends here */
    size_t value_capacity, node_count;
};

void trie_deinit(struct trie *t);
/* length > 0, value >= 0. The last of equal keys stays. */
enum status trie_add(struct trie *t, const char *key, size_t length, int32_t value, struct error *e);

enum { TRIE_ROOT = 0 };
/* The node below `node` by one byte, or 0 (the root is below nothing). */
uint32_t trie_step(const struct trie *t, uint32_t node, unsigned char byte);
static inline int32_t trie_value(const struct trie *t, uint32_t node) {
    return t->values[node];
}

/* The longest key below `from` (TRIE_ROOT, or where a prefix led) that text begins with: its value, and how
 * much of the text it takes; -1 if there is none. */
int32_t trie_longest(const struct trie *t, uint32_t from, const char *text, size_t length,
                     size_t *key_length);
