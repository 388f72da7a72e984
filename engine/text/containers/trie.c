#include "engine/text/containers/trie.h"

#include <stdlib.h>

#include "engine/text/containers/text_buffer.h"

enum { EDGES_FIRST = 256 };

void trie_deinit(struct trie *t) {
    free(t->edges);
    free(t->values);
    *t = (struct trie){0};
}

static size_t find_edge(const struct trie *t, uint64_t key) {
    size_t mask = t->edge_capacity - 1;
    uint64_t hash = key * 0x9E3779B97F4A7C15u;
    size_t at = (hash ^ hash >> 32) & mask;
    while (t->edges[at].key != 0 && t->edges[at].key != key) at = (at + 1) & mask;
    return at;
}

static bool grow_edges(struct trie *t) {
    if (t->edge_capacity > 2 * t->edge_count + 1) return true;
    struct trie_edge *old = t->edges;
    size_t old_capacity = t->edge_capacity, capacity = old_capacity ? 2 * old_capacity : EDGES_FIRST;
    struct trie_edge *edges = calloc(capacity, sizeof *edges);
    if (!edges) return false;
    t->edges = edges;
    t->edge_capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].key != 0) t->edges[find_edge(t, old[i].key)] = old[i];
    free(old);
    return true;
}

static bool add_node(struct trie *t) {
    if (t->node_count >= UINT32_MAX || !array_reserve(&t->values, &t->value_capacity, t->node_count + 1))
        return false;
    t->values[t->node_count++] = -1;
    return true;
}

static uint64_t edge_key(uint32_t node, unsigned char byte) {
    return ((uint64_t)node << 8 | byte) + 1;
}

enum status trie_add(struct trie *t, const char *key, size_t length, int32_t value, struct error *e) {
    uint32_t node = TRIE_ROOT;
    if (t->node_count == 0 && !add_node(t)) return text_no_memory(e);
    for (size_t i = 0; i < length; i++) {
        if (!grow_edges(t)) return text_no_memory(e);
        uint64_t wanted = edge_key(node, (unsigned char)key[i]);
        size_t at = find_edge(t, wanted);
        if (t->edges[at].key == 0) {
            if (!add_node(t)) return text_no_memory(e);
            t->edges[at] = (struct trie_edge){wanted, (uint32_t)(t->node_count - 1)};
            t->edge_count++;
        }
        node = t->edges[at].child;
    }
    t->values[node] = value;
    return STATUS_OK;
}

uint32_t trie_step(const struct trie *t, uint32_t node, unsigned char byte) {
    if (t->edge_count == 0) return TRIE_ROOT;
    return t->edges[find_edge(t, edge_key(node, byte))].child;
}

int32_t trie_longest(const struct trie *t, uint32_t from, const char *text, size_t length,
                     size_t *key_length) {
    int32_t found = -1;
    uint32_t node = from;
    for (size_t i = 0; i < length; i++) {
        node = trie_step(t, node, (unsigned char)text[i]);
        if (node == TRIE_ROOT) break;
        if (trie_value(t, node) >= 0) {
            found = trie_value(t, node);
            *key_length = i + 1;
        }
    }
    return found;
}
