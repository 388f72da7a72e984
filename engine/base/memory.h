/* Memory with named limits: aligned for kernels, sizes checked for overflow. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

/* 64-byte aligned, zeroed; large blocks lie on huge pages where the system grants them. NULL with *e set when
 * there is none; what names the thing for the message. free() frees. */
void *memory_aligned(size_t count, size_t size, const char *what, struct error *e);

/* The same with anything in it: for blocks that are written in full by the threads that will read them, so
 * that one thread does not touch all pages first. */
void *memory_aligned_unset(size_t count, size_t size, const char *what, struct error *e);

/* count * size into *out; false on overflow. */
static inline bool memory_multiply(size_t count, size_t size, size_t *out) {
    return !__builtin_mul_overflow(count, size, out);
}

/* Resident anonymous memory of this process, in bytes (0 where /proc has none). */
size_t memory_anonymous_bytes(void);

/* What this process may still use: the smaller of MemAvailable and what the limits of its cgroups (v2, v1)
 * leave. */
size_t memory_available_bytes(void);
