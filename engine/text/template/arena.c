#include "engine/text/template/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

/* A chunk has as many bytes as all before it, between these. */
enum { CHUNK_BYTES_MIN = 16 << 10, CHUNK_BYTES_MAX = 1 << 20 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, capacity;
    alignas(max_align_t) char bytes[];
};

void arena_deinit(struct arena *a) {
    while (a->chunks) {
        struct arena_chunk *next = a->chunks->next;
        free(a->chunks);
        a->chunks = next;
    }
    a->bytes = 0;
}

static bool add_chunk(struct arena *a, size_t wanted) {
    size_t capacity = a->bytes;
    if (capacity < CHUNK_BYTES_MIN) capacity = CHUNK_BYTES_MIN;
    if (capacity > CHUNK_BYTES_MAX) capacity = CHUNK_BYTES_MAX;
    if (a->bytes_max - a->bytes < capacity) capacity = a->bytes_max - a->bytes;
    if (capacity < wanted) capacity = wanted;
    if (a->bytes_max - a->bytes < capacity) return false;
    struct arena_chunk *chunk = malloc(sizeof *chunk + capacity);
    a->no_memory = !chunk;
    if (!chunk) return false;
    *chunk = (struct arena_chunk){.next = a->chunks, .capacity = capacity};
    a->chunks = chunk;
    a->bytes += capacity;
    return true;
}

static char *take(struct arena *a, size_t bytes, size_t alignment) {
    if (bytes > a->bytes_max) return NULL;
    if (a->chunks) {
        size_t at = (a->chunks->used + alignment - 1) / alignment * alignment;
        if (at <= a->chunks->capacity && a->chunks->capacity - at >= bytes) {
            a->chunks->used = at + bytes;
            return a->chunks->bytes + at;
        }
    }
    if (!add_chunk(a, bytes)) return NULL;
    a->chunks->used = bytes;
    return a->chunks->bytes;
}

void *arena_take(struct arena *a, size_t bytes) {
    void *taken = take(a, bytes, alignof(max_align_t));
    return taken ? memset(taken, 0, bytes) : NULL;
}

void *arena_take_array(struct arena *a, size_t count, size_t size) {
    size_t bytes;
    return memory_multiply(count, size, &bytes) ? arena_take(a, bytes) : NULL;
}

char *arena_take_bytes(struct arena *a, size_t bytes) {
    return take(a, bytes, 1);
}

char *arena_grow_bytes(struct arena *a, char *old, size_t used, size_t old_bytes, size_t bytes) {
    struct arena_chunk *chunk = a->chunks;
    if (old && chunk && old + old_bytes == chunk->bytes + chunk->used &&
        chunk->capacity - chunk->used >= bytes - old_bytes) {
        chunk->used += bytes - old_bytes;
        return old;
    }
    char *taken = take(a, bytes, 1);
    if (taken && used > 0) memcpy(taken, old, used);
    return taken;
}
