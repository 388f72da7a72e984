/* Memory that is given back all at once: of a compiled template, and of one rendering. What is asked for is counted
 * against a limit. Start from {.bytes_max = N}. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* the newest first */
    size_t bytes, bytes_max;    /* of all chunks */
    bool no_memory;             /* malloc had none; else what fails is the limit */
};

void arena_deinit(struct arena *a);

/* Zeroed, aligned for anything; NULL: the limit, or no memory. */
void *arena_take(struct arena *a, size_t bytes);

/* The same for count elements; NULL also where that overflows. */
void *arena_take_array(struct arena *a, size_t count, size_t size);

/* Bytes alone, not zeroed and not aligned. */
char *arena_take_bytes(struct arena *a, size_t bytes);

/* A copy of the first `used` of old_bytes at `old` with room for more: in its place where it is the newest. */
char *arena_grow_bytes(struct arena *a, char *old, size_t used, size_t old_bytes, size_t bytes);
