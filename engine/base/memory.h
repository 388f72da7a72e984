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

/* What this process may still use: the least of MemAvailable, what the limits of its cgroups (v2, v1) leave,
 * and what RLIMIT_AS and RLIMIT_DATA leave. 0: nobody knows (nothing left is 1). */
size_t memory_available_bytes(void);

/* What one thread more takes of that: its whole stack where the address space is limited, else what it uses of it
 * (THREAD_STACK_USED, THREAD_STACK_COMPUTE). */
size_t memory_thread_bytes(size_t used);

/* For main, before any thread starts: the heap gives back what was freed. glibc raises its thresholds with
 * the largest block that was freed, and makes many heaps that each keep their freed memory; with this a large
 * request leaves nothing behind that memory_give_back does not give back. */
void memory_process_init(void);

/* After something large was freed: gives all unused memory of the heap back to the system. Takes time (about
 * a millisecond for 10 MiB): not on the loop. */
void memory_give_back(void);
