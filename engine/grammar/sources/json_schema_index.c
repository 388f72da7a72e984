#include "engine/grammar/sources/json_schema_index.h"

#include <stdlib.h>
#include <string.h>

#include "engine/text/containers/text_buffer.h"

static size_t bucket_of(size_t hash) {
    return (hash ^ hash >> 29) % JSON_SCHEMA_INDEX_BUCKETS;
}

void json_schema_index_deinit(struct json_schema_index *x) {
    free(x->heads);
    free(x->next);
}

bool json_schema_index_add(struct json_schema_index *x, size_t hash) {
    if (!x->heads) {
        x->heads = malloc(JSON_SCHEMA_INDEX_BUCKETS * sizeof *x->heads);
        if (!x->heads) return false;
        memset(x->heads, 0xFF, JSON_SCHEMA_INDEX_BUCKETS * sizeof *x->heads);
    }
    if (!array_reserve(&x->next, &x->capacity, x->count + 1)) return false;
    uint32_t *head = &x->heads[bucket_of(hash)];
    x->next[x->count] = *head;
    *head = (uint32_t)x->count++;
    return true;
}

uint32_t json_schema_index_first(const struct json_schema_index *x, size_t hash) {
    return x->heads ? x->heads[bucket_of(hash)] : JSON_SCHEMA_INDEX_NONE;
}

size_t json_schema_index_hash_text(size_t hash, const char *text) {
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001B3u;
    return hash;
}
