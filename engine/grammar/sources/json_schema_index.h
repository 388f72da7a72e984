/* Numbers 0, 1, 2, .. by hashes: a list that grows finds its elements again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_SCHEMA_INDEX_BUCKETS = 4096, JSON_SCHEMA_INDEX_NONE = UINT32_MAX };

struct json_schema_index {
    uint32_t *heads; /* [buckets] */
    uint32_t *next;  /* [count]: of the same bucket */
    size_t count, capacity;
};

void json_schema_index_deinit(struct json_schema_index *x);
/* Adds the next number. False: no memory. */
bool json_schema_index_add(struct json_schema_index *x, size_t hash);
/* The numbers that may have this hash, one after the other: the latest first. JSON_SCHEMA_INDEX_NONE: there are no more. */
uint32_t json_schema_index_first(const struct json_schema_index *x, size_t hash);
static inline uint32_t json_schema_index_next(const struct json_schema_index *x, uint32_t number) {
    return x->next[number];
}
size_t json_schema_index_hash_text(size_t hash, const char *text);
static inline size_t json_schema_index_hash(size_t hash, uintptr_t value) {
    return (hash ^ (size_t)value) * 0x9E3779B97F4A7C15u;
}
