/* Prefetching of weights that are read soon, into the second-level cache, in several streams some pages
 * apart: the hardware prefetcher stops at the end of a page, and then runs on in each of them.
 *
 * While a part of a panel is computed the next part is prefetched, by each tile of rows its share: memory is
 * busy all the time, however many rows there are. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/kernel/variant.h"

#define PREFETCH_STREAMS 6
#define CACHE_LINE       64 /* bytes */

/* So many bytes behind `from`, as an address and no pointer: it may lie beyond what was allocated. Nothing is read. */
#define PREFETCH_BEHIND(from, bytes, locality)                                                               \
    __builtin_prefetch((const void *)((uintptr_t)(from) + (bytes)), 0, locality)

/* One line of each stream. */
VECTOR_INLINE void prefetch_lines(const void *line, size_t spacing) {
    KERNEL_EACH (i, PREFETCH_STREAMS) PREFETCH_BEHIND(line, i * spacing, 2);
}

/* Bytes that are read soon, into the first-level cache. */
VECTOR_INLINE void prefetch_near(const void *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += CACHE_LINE) PREFETCH_BEHIND(from, i, 3);
}

/* A strip, sixteen columns of a panel, has a line of each of these rows of a panel, whatever the type of weights. Nothing
 * brings them by itself: the hardware would bring the lines of other strips too. */
#define STRIP_SPACING (KERNEL_PANEL * 4) /* bytes from line to line */
#define STRIP_AHEAD   ((size_t)24)       /* lines */

VECTOR_INLINE void strip_prefetch_first(const void *line) {
    for (size_t i = 0; i < STRIP_AHEAD; i++) PREFETCH_BEHIND(line, i * STRIP_SPACING, 3);
}

/* What a tile writes at its end, rows of a panel, and the residual that it reads there. All at once these lines would take the
 * places of those that are on their way (16 on Intel's cores), and the loads of weights and activations would wait: 13 % of a
 * GEMM of 512 rows by 768 of k, 20 % with a residual. So a row is prefetched at a time, while the tile computes. */
struct output_prefetch {
    uintptr_t out, residual;        /* of the next row; residual: 0: none, or out itself */
    size_t stride, residual_stride; /* bytes */
    size_t rows;                    /* that are left */
    size_t period;                  /* of k, from row to row */
};

/* Of a tile of so many rows that takes so much of k. */
VECTOR_INLINE struct output_prefetch output_prefetch_of(const struct gemm *m, size_t row, size_t rows,
                                                        size_t column, size_t k) {
    struct output_prefetch p = {
        .out = (uintptr_t)(m->out + row * m->out_stride + column),
        .stride = m->out_stride * sizeof *m->out,
        .rows = rows,
        .period = k / rows,
    };
    if (!m->residual || m->residual == m->out) return p;
    p.residual = (uintptr_t)(m->residual + row * m->residual_stride + column);
    p.residual_stride = m->residual_stride * sizeof *m->residual;
    return p;
}

/* So much of k later it is to be called again. */
VECTOR_INLINE size_t output_prefetch_row(struct output_prefetch *p) {
    if (!p || p->rows == 0) return SIZE_MAX;
    p->rows--;
    for (size_t i = 0; i < KERNEL_PANEL * sizeof(float); i += CACHE_LINE)
        __builtin_prefetch((const void *)(p->out + i), 1, 3);
    if (p->residual) prefetch_near((const void *)p->residual, KERNEL_PANEL * sizeof(float));
    p->out += p->stride, p->residual += p->residual_stride;
    return p->period;
}

/* The share of one tile. */
struct weight_prefetch {
    uintptr_t line;        /* the first of the first stream */
    size_t lines, spacing; /* lines of each stream (0: nothing is prefetched); bytes from stream to stream */
    size_t step;           /* bytes from a line of a stream to the next */
    bool alone;            /* there is one tile, which brings its weights from memory itself */
    /* Of a tile whose sums will be complete, where its kernel prefetches what it writes; or NULL. */
    struct output_prefetch *output;
};

/* That of the first of so many tiles; `next` may be NULL. */
VECTOR_INLINE struct weight_prefetch weight_prefetch_of(const void *next, size_t bytes, size_t tiles) {
    const size_t lines = next ? bytes / CACHE_LINE / tiles / PREFETCH_STREAMS : 0;
    return (struct weight_prefetch){.line = (uintptr_t)next,
                                    .lines = lines,
                                    .spacing = lines * CACHE_LINE,
                                    .step = CACHE_LINE,
                                    .alone = tiles == 1};
}

/* That of the first tile of a strip whose first line is at `line`: streams side by side, ahead of what it reads. */
VECTOR_INLINE struct weight_prefetch weight_prefetch_of_strip(const unsigned char *line, size_t bytes) {
    const size_t lines = bytes / STRIP_SPACING;
    strip_prefetch_first(line);
    return (struct weight_prefetch){.line = (uintptr_t)line + STRIP_AHEAD * STRIP_SPACING,
                                    .lines =
                                        lines > STRIP_AHEAD ? (lines - STRIP_AHEAD) / PREFETCH_STREAMS : 0,
                                    .spacing = STRIP_SPACING,
                                    .step = PREFETCH_STREAMS * STRIP_SPACING,
                                    .alone = true};
}

/* Ahead of the weights that a single tile is at, where the header of a set that was included before has a
 * PREFETCH_MEMORY_DISTANCE. Those of several tiles are in a cache, and what comes from memory meanwhile is the next part:
 * prefetches of lines that are there took a sixth of a GEMM of 16 rows. */
VECTOR_INLINE void weight_prefetch_alone(const struct weight_prefetch *p, const unsigned char *weights,
                                         size_t bytes) {
    (void)p, (void)weights, (void)bytes;
#ifdef PREFETCH_MEMORY_DISTANCE
    if (!p->alone) return;
    for (size_t i = 0; i < bytes; i += CACHE_LINE) PREFETCH_BEHIND(weights, PREFETCH_MEMORY_DISTANCE + i, 2);
#endif
}

/* As a tile of so many rows sees it: one of less than half of the rows of the largest counts as alone, so that nothing is
 * asked in its loops. It is, but for the tiles of 2 and 3 rows that a set splits by LOWP_SINGLE_ROWS: there the first brings
 * what it reads, as it should, and the second asks for lines that are there (2 rows of int8 from memory with AVX2: 3 %
 * faster than where neither is). Both numbers are constants where this is inlined. */
VECTOR_INLINE struct weight_prefetch weight_prefetch_of_tile(const struct weight_prefetch *p, size_t rows,
                                                             size_t rows_max) {
    struct weight_prefetch tile = *p;
    if (rows < (rows_max + 1) / 2) tile.alone = true;
    return tile;
}

VECTOR_INLINE void weight_prefetch_next_tile(struct weight_prefetch *p) {
    p->line += PREFETCH_STREAMS * p->spacing;
    if (p->step != CACHE_LINE) *p = (struct weight_prefetch){0}; /* the first has brought a strip */
}

/* A tile's lines spread over its steps of k: every `period` steps `burst` lines of each stream. */
struct prefetch_pace {
    uintptr_t line;
    size_t spacing, step, advance; /* advance: bytes from burst to burst */
    size_t period, burst;
};

/* Where a panel takes several loops over its steps, each has its share; a strip takes one, or goes on as if it did. Lines beyond
 * burst_max at a time are left to the hardware. */
VECTOR_INLINE struct prefetch_pace prefetch_pace_of(const struct weight_prefetch *p, size_t steps,
                                                    size_t burst_max, size_t share, size_t shares) {
    if (p->lines == 0) return (struct prefetch_pace){.period = steps};
    size_t burst = (p->lines + steps - 1) / steps, period = 1;
    if (burst > burst_max)
        burst = burst_max;
    else
        period = steps * burst / p->lines;
    if (p->step != CACHE_LINE) share = 0, shares = 1;
    return (struct prefetch_pace){
        .line = p->line + share * burst * CACHE_LINE,
        .spacing = p->spacing,
        .step = p->step,
        .advance = shares * burst * p->step,
        .period = shares * period,
        .burst = burst,
    };
}

/* burst_max as above; a constant, so that what stays in registers is little. */
VECTOR_INLINE void prefetch_burst(struct prefetch_pace *pace, size_t burst_max) {
    if (pace->burst == 0) return;
    prefetch_lines((const void *)pace->line, pace->spacing);
    for (size_t i = 1; burst_max > 1 && i < pace->burst; i++)
        prefetch_lines((const void *)(pace->line + i * pace->step), pace->spacing);
    pace->line += pace->advance;
}
