/* GEMM of f32 weights, once for every instruction set (see vector_scalar.h) but for the microkernel: the
 * including file defines GEMM_ROWS and
 *
 *     void gemm_f32_microkernel(const float *x, size_t stride, size_t rows, const float *w, size_t k,
 *                               struct panel_columns columns, float (*sums)[48],
 *                               const struct gemm_prefetch *prefetch)
 *
 * which goes on with the accumulators of 1 .. GEMM_ROWS rows of x by some columns of a panel over the k steps that start
 * at w; it may come from gemm_f32_tile.h. */
#pragma once

#include <string.h>

#include "engine/kernel/template/announce.h"
#include "engine/kernel/template/epilogue.h"
#include "engine/kernel/template/prefetch.h"

/* A panel is processed in blocks of k that stay in the second-level cache (192 KiB) while a block of rows
 * passes. Accumulators are stored between blocks of k, which changes no bit. */
#define GEMM_K_BLOCK   1024
#define GEMM_ROW_BLOCK 64 /* 12 KiB of accumulators on the stack */

/* While a block of k is computed the next one is prefetched, by each row tile its part: memory is busy all
 * the time, however many rows there are. A line of each stream every `period` steps of k; none where period
 * is 0. */
struct gemm_prefetch {
    uintptr_t line;
    size_t period, spacing; /* spacing: bytes from stream to stream */
};

static void gemm_f32_microkernel(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                                 struct panel_columns columns, float (*sums)[KERNEL_PANEL],
                                 const struct gemm_prefetch *prefetch);

/* The streams of the first row tile; those of the next start at line + PREFETCH_STREAMS * spacing. */
static struct gemm_prefetch gemm_prefetch_of(const void *next, size_t k, size_t tiles) {
    size_t lines = k * KERNEL_PANEL * sizeof(float) / CACHE_LINE / tiles / PREFETCH_STREAMS;
    if (!next || lines == 0) return (struct gemm_prefetch){0};
    return (struct gemm_prefetch){
        .line = (uintptr_t)next, .period = k / lines, .spacing = lines * CACHE_LINE};
}

/* Of a strip, for the first row tile: streams side by side, ahead of what it reads. None for the others. */
static struct gemm_prefetch gemm_prefetch_of_strip(const float *line) {
    return (struct gemm_prefetch){.line = (uintptr_t)line + STRIP_AHEAD * STRIP_SPACING,
                                  .period = PREFETCH_STREAMS,
                                  .spacing = STRIP_SPACING};
}

/* A block of k of a panel by a block of rows, in tiles of nearly the same height. */
static void gemm_k_block(const struct gemm *m, size_t row, size_t rows, const float *w, size_t first,
                         size_t k, const void *next, float (*sums)[KERNEL_PANEL]) {
    size_t tiles = (rows + GEMM_ROWS - 1) / GEMM_ROWS;
    const struct panel_columns columns = kernel_columns(m);
    const bool whole = kernel_columns_are_all(columns);
    struct gemm_prefetch prefetch = whole ? gemm_prefetch_of(next, k, tiles)
                                          : gemm_prefetch_of_strip(w + first * KERNEL_PANEL + columns.first);
    const float *x = m->x + row * m->x_stride + first;
    for (size_t r = 0, height; r < rows; r += height, tiles--) {
        height = (rows - r + tiles - 1) / tiles;
        gemm_f32_microkernel(x + r * m->x_stride, m->x_stride, height, w + first * KERNEL_PANEL, k, columns,
                             sums + r, &prefetch);
        prefetch.line += PREFETCH_STREAMS * prefetch.spacing;
        if (!whole) prefetch.period = 0;
    }
}

static void gemm_epilogue(const struct gemm *m, size_t row, size_t rows, size_t panel,
                          float (*sums)[KERNEL_PANEL]) {
    for (size_t r = 0; r < rows; r++) epilogue_panel_sums(m, row + r, panel * KERNEL_PANEL, 1.0f, sums[r]);
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
    size_t blocks = (m->k + GEMM_K_BLOCK - 1) / GEMM_K_BLOCK;
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
