/* Prefetching of weights that are read soon, into the second-level cache, in several streams some pages
 * apart: the hardware prefetcher stops at the end of a page, and then runs on in each of them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/kernel/variant.h"

#define PREFETCH_STREAMS 6
#define CACHE_LINE       64 /* bytes */

/* One line of each stream. They may lie beyond what was allocated: nothing is read. */
VECTOR_INLINE void prefetch_lines(const void *line, size_t spacing) {
    KERNEL_EACH (i, PREFETCH_STREAMS) __builtin_prefetch((const char *)line + i * spacing, 0, 2);
}
