/* GEMM of f32 weights, once for every instruction set (see vector_scalar.h) but for the microkernel: the
 * including file defines GEMM_ROWS and
 *
 *     size_t gemm_f32_width(size_t rows, bool strip)
 *
 *     void gemm_f32_microkernel(const float *x, size_t stride, size_t rows, const float *w, size_t k,
 *                               size_t width, float (*sums)[48], const struct gemm_prefetch *prefetch)
 *
 * which goes on with the accumulators of 1 .. GEMM_ROWS rows of x by `width` columns of a panel over the k steps that start
 * at w; and how many columns of a panel (a divisor of 48), or of a strip (of 16), a block of rows takes at once whose tallest
 * tile has so many rows. Both may come from gemm_f32_tile.h. */
#pragma once

#include <string.h>

#include "engine/kernel/template/announce.h"
#include "engine/kernel/template/epilogue.h"
#include "engine/kernel/template/prefetch.h"

/* A panel is processed in blocks of k, in passes: each is a tile of rows by some columns. Accumulators are stored between
 * blocks of k, which changes no bit. A set may say otherwise:
 *   - GEMM_K_BLOCK(passes): k of a block. This one's panel stays in the second-level cache (192 KiB) while a block of rows
 *     passes;
 *   - GEMM_STREAMED_PASSES: up to so many passes prefetch the next block in several streams, since they need all that memory
 *     has; more do so line by line. */
#ifndef GEMM_K_BLOCK
#define GEMM_K_BLOCK(passes) 1024
#endif
#ifndef GEMM_STREAMED_PASSES
#define GEMM_STREAMED_PASSES SIZE_MAX
#endif
#define GEMM_ROW_BLOCK 64 /* 12 KiB of accumulators on the stack */

/* While a block of k is computed the next one is prefetched, by each pass its part: memory is busy all the time, however
 * many rows there are. A line of each stream every `period` steps of k; none where period is 0. */
struct gemm_prefetch {
    uintptr_t line;
    size_t period, spacing; /* spacing: bytes from stream to stream */
    size_t step;            /* bytes from a line of a stream to the next */
    size_t streams;         /* PREFETCH_STREAMS or 1 */
};

static size_t gemm_f32_width(size_t rows, bool strip);
static void gemm_f32_microkernel(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                                 size_t width, float (*sums)[KERNEL_PANEL],
                                 const struct gemm_prefetch *prefetch);

/* The streams of the first pass; those of the next start at line + streams * spacing. */
static struct gemm_prefetch gemm_prefetch_of(const void *next, size_t k, size_t passes) {
    const size_t streams = passes <= GEMM_STREAMED_PASSES ? PREFETCH_STREAMS : 1;
    const size_t lines = k * KERNEL_PANEL * sizeof(float) / CACHE_LINE / passes / streams;
    if (!next || lines == 0) return (struct gemm_prefetch){0};
    return (struct gemm_prefetch){.line = (uintptr_t)next,
                                  .period = k / lines,
                                  .spacing = lines * CACHE_LINE,
                                  .step = CACHE_LINE,
                                  .streams = streams};
}

/* Of a strip, for the first pass: streams side by side, ahead of what it reads. None for the others. */
static struct gemm_prefetch gemm_prefetch_of_strip(const float *line) {
    return (struct gemm_prefetch){.line = (uintptr_t)line + STRIP_AHEAD * STRIP_SPACING,
                                  .period = PREFETCH_STREAMS,
                                  .spacing = STRIP_SPACING,
                                  .step = PREFETCH_STREAMS * STRIP_SPACING,
                                  .streams = PREFETCH_STREAMS};
}

VECTOR_INLINE void gemm_prefetch_lines(uintptr_t line, const struct gemm_prefetch *prefetch) {
    if (GEMM_STREAMED_PASSES < SIZE_MAX && prefetch->streams == 1)
        __builtin_prefetch((const void *)line, 0, 2);
    else
        prefetch_lines((const void *)line, prefetch->spacing);
}

/* How a block of rows goes by a panel, or a strip: in tiles of nearly the same height, by so many columns. */
struct gemm_passes {
    size_t tiles, width, count;
};

static struct gemm_passes gemm_passes_of(const struct gemm *m, size_t rows) {
    const struct panel_columns columns = kernel_columns(m);
    const size_t tiles = (rows + GEMM_ROWS - 1) / GEMM_ROWS, tallest = (rows + tiles - 1) / tiles,
                 width = gemm_f32_width(tallest, !kernel_columns_are_all(columns));
    return (struct gemm_passes){
        .tiles = tiles, .width = width, .count = tiles * ((columns.end - columns.first) / width)};
}

/* A block of k of a panel by a block of rows. The loop over columns is outside that over rows: what all rows read of the
 * weights may stay in the first-level cache. */
static void gemm_k_block(const struct gemm *m, size_t row, size_t rows, const float *w, size_t first,
                         size_t k, const void *next, float (*sums)[KERNEL_PANEL]) {
    const struct gemm_passes passes = gemm_passes_of(m, rows);
    const struct panel_columns columns = kernel_columns(m);
    const bool whole = kernel_columns_are_all(columns);
    struct gemm_prefetch prefetch = whole ? gemm_prefetch_of(next, k, passes.count)
                                          : gemm_prefetch_of_strip(w + first * KERNEL_PANEL + columns.first);
    const float *x = m->x + row * m->x_stride + first;
    w += first * KERNEL_PANEL;
    for (size_t column = columns.first; column < columns.end; column += passes.width) {
        for (size_t r = 0, height, tiles = passes.tiles; r < rows; r += height, tiles--) {
            height = (rows - r + tiles - 1) / tiles;
            gemm_f32_microkernel(x + r * m->x_stride, m->x_stride, height, w + column, k, passes.width,
                                 (float(*)[KERNEL_PANEL])(sums[r] + column), &prefetch);
            prefetch.line += prefetch.streams * prefetch.spacing;
            if (!whole) prefetch.period = 0;
        }
    }
}

static void gemm_epilogue(const struct gemm *m, size_t row, size_t rows, size_t panel,
                          float (*sums)[KERNEL_PANEL]) {
    for (size_t r = 0; r < rows; r++)
        epilogue_panel_sums(m, row + r, panel * KERNEL_PANEL, 1.0f, sums[r], true);
}

/* Which block of the rows of a panel this is. The first brings the panel's blocks of k from memory. */
struct gemm_turn {
    bool first, last;
};

/* Rows [row, +rows), at most GEMM_ROW_BLOCK, by one panel; `next` is what is read after it. */
static void gemm_row_block(const struct gemm *m, size_t row, size_t rows, size_t panel, struct gemm_turn turn,
                           const void *next) {
    _Alignas(KERNEL_ALIGN) float sums[GEMM_ROW_BLOCK][KERNEL_PANEL];
    memset(sums, 0, rows * sizeof sums[0]);
    const float *w = m->panels + panel * m->k * KERNEL_PANEL;
    const size_t longest = GEMM_K_BLOCK(gemm_passes_of(m, rows).count);
    size_t blocks = (m->k + longest - 1) / longest;
    for (size_t k = 0, block; k < m->k; k += block, blocks--) {
        block = (m->k - k + blocks - 1) / blocks;
        const void *prefetch = turn.first ? w + (k + block) * KERNEL_PANEL : NULL;
        if (blocks == 1) prefetch = turn.last ? next : NULL;
        gemm_k_block(m, row, rows, w, k, block, prefetch, sums);
    }
    gemm_epilogue(m, row, rows, panel, sums);
}

/* The loop over panels is outside that over rows: a panel comes from memory once, and from a cache after. */
void KERNEL_FUNCTION(gemm_f32)(const struct gemm *m, size_t row_first, size_t row_count, size_t panel_first,
                               size_t panel_count) {
    const struct panel_columns columns = kernel_columns(m);
    const bool whole = kernel_columns_are_all(columns);
    announce_gemm_f32(m, row_first, row_count, panel_first, panel_count);
    const size_t panel_end = panel_first + panel_count,
                 blocks_all = (row_count + GEMM_ROW_BLOCK - 1) / GEMM_ROW_BLOCK;
    for (size_t panel = panel_first; panel < panel_end; panel++) {
        const void *next =
            panel + 1 < panel_end ? m->panels + (panel + 1) * m->k * KERNEL_PANEL : m->prefetch;
        if (!whole) strip_prefetch_first(m->panels + panel * m->k * KERNEL_PANEL + columns.first);
        for (size_t r = 0, rows, blocks = blocks_all; r < row_count; r += rows, blocks--) {
            rows = (row_count - r + blocks - 1) / blocks;
            gemm_row_block(m, row_first + r, rows, panel,
                           (struct gemm_turn){.first = r == 0, .last = blocks == 1}, next);
        }
    }
    if (!whole && m->prefetch) strip_prefetch_first(m->prefetch);
}

/* Sums that another library has computed. */
void KERNEL_FUNCTION(epilogue_rows)(const struct gemm *m, const float *sums, size_t sums_stride,
                                    size_t row_first, size_t row_count) {
    announce_read_floats(sums + row_first * sums_stride, sums_stride, row_count, m->n);
    announce_epilogue(m, row_first, row_count, 0, m->n);
    for (size_t row = row_first; row < row_first + row_count; row++)
        for (size_t n = 0; n < m->n; n += KERNEL_LANES)
            epilogue_sums(m, row, n, sums + row * sums_stride + n);
}
