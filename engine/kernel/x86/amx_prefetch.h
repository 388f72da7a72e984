/* Prefetching of weights and activations for AMX. One pass over a panel prefetches at PREFETCH_MEMORY_DISTANCE. Where rows
 * take several passes, memory would be idle while weights are read again from the cache: each pass prefetches its share of the
 * weights that are read next, in streams. So does a single pass over int4, where unpacking leaves the processor no room to run
 * ahead. Activations are not prefetched: lines that come from far away take the places (16 on Intel's cores) of those that the
 * tiles load from the second-level cache, and the hardware prefetches rows by itself. */
#pragma once

#include "engine/kernel/x86/amx_tiles.h"
#include "engine/kernel/x86/int_avx512.h"

#include "engine/kernel/template/prefetch.h"

#define LINE_BYTES  (KERNEL_PANEL * 4)       /* from one row of the tiles of a panel to the next */
#define BLOCK_BYTES (TILE_ROWS * LINE_BYTES) /* of a panel, for 64 bytes of a row of activations */

struct pass_prefetch {
    const unsigned char *next; /* weights: line of the first stream; NULL: prefetch within this panel */
    size_t spacing, lines;     /* bytes from stream to stream; lines of each, with every block of k */
};

static struct pass_prefetch prefetch_of_pass(const unsigned char *next, size_t bytes, size_t blocks,
                                             size_t pass, size_t passes) {
    const size_t lines = (bytes / CACHE_LINE + PREFETCH_STREAMS - 1) / PREFETCH_STREAMS;
    const size_t step = (lines + passes * blocks - 1) / (passes * blocks);
    if (!next) return (struct pass_prefetch){0};
    return (struct pass_prefetch){
        .next = next + pass * blocks * step * CACHE_LINE, .spacing = lines * CACHE_LINE, .lines = step};
}

VECTOR_INLINE void prefetch_next_weights(struct pass_prefetch *p) {
    for (size_t line = 0; line < p->lines; line++, p->next += CACHE_LINE) prefetch_lines(p->next, p->spacing);
}

/* Before block w of a panel, when few rows take it. */
VECTOR_INLINE void prefetch_block(const unsigned char *w) {
    for (size_t i = 0; i < BLOCK_BYTES; i += CACHE_LINE) {
        prefetch_weights(w + i);
        /* The loads of tiles alone do not keep enough cache lines in flight. */
        _mm_prefetch((const char *)w + i, _MM_HINT_T0);
    }
}
