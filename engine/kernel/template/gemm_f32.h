/* Products, once for every instruction set (see vector_scalar.h) but for the innermost tile: the including
 * file defines PRODUCT_ROWS and
 *
 *     void product_add(const float *x, size_t stride, size_t rows, const float *w, size_t k,
 *                      float (*sums)[48], const struct product_ahead *ahead)
 *
 * which continues the chains of 1 .. PRODUCT_ROWS rows of x with the k steps of a panel that start at w. */
#pragma once

#include <string.h>

#include "engine/kernel/template/epilogue.h"

/* A panel is walked in slices of k that stay in the second level cache (192 KiB) while a group of rows goes
 * over them. The chains are saved between slices, which changes no bit. */
#define PRODUCT_SLICE 1024
#define PRODUCT_GROUP 64 /* rows: 12 KiB of sums on the stack */

/* While a slice is computed the next one is asked for, each row tile its part of it: memory is busy all the
 * time, however many rows there are. Several streams at once, on pages of their own, since the processor's
 * own prefetching stops at the end of a page: every `period` steps of k one line of each, `spacing` bytes
 * apart. No period: nothing is asked for. */
#define PRODUCT_STREAMS 6
#define PRODUCT_LINE    64 /* bytes */
struct product_ahead {
    uintptr_t from; /* an address and no pointer: it may lie beyond what was allocated */
    size_t period, spacing;
};

static void product_add(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                        float (*sums)[KERNEL_PANEL], const struct product_ahead *ahead);

/* The streams of one row tile; the others follow at from + PRODUCT_STREAMS * spacing. */
static struct product_ahead product_ahead_of(const void *next, size_t k, size_t tiles) {
    size_t lines = k * KERNEL_PANEL * sizeof(float) / PRODUCT_LINE / tiles / PRODUCT_STREAMS;
    if (!next || lines == 0) return (struct product_ahead){0};
    return (struct product_ahead){
        .from = (uintptr_t)next, .period = k / lines, .spacing = lines * PRODUCT_LINE};
}

/* A slice of a panel by a group of rows, in tiles of nearly the same height. */
static void product_slice(const struct gemm *m, size_t row, size_t rows, const float *w, size_t first,
                          size_t k, const void *next, float (*sums)[KERNEL_PANEL]) {
    size_t tiles = (rows + PRODUCT_ROWS - 1) / PRODUCT_ROWS;
    struct product_ahead ahead = product_ahead_of(next, k, tiles);
    const float *x = m->x + row * m->x_stride + first;
    for (size_t r = 0, height; r < rows; r += height, tiles--) {
        height = (rows - r + tiles - 1) / tiles;
        product_add(x + r * m->x_stride, m->x_stride, height, w + first * KERNEL_PANEL, k, sums + r, &ahead);
        ahead.from += PRODUCT_STREAMS * ahead.spacing;
    }
}

static void product_finish_group(const struct gemm *m, size_t row, size_t rows, size_t panel,
                                 float (*sums)[KERNEL_PANEL]) {
    size_t first = panel * KERNEL_PANEL;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < KERNEL_PANEL && first + c < m->n; c += KERNEL_LANES)
            product_finish(m, row + r, first + c, sums[r] + c);
}

/* Which groups of a panel's rows this is. The first brings the panel's slices from memory. */
struct product_turn {
    bool first, last;
};

/* Rows [row, +rows), at most PRODUCT_GROUP, by one panel; `next` is what is read after it. */
static void product_group(const struct gemm *m, size_t row, size_t rows, size_t panel,
                          struct product_turn turn, const void *next) {
    _Alignas(KERNEL_ALIGN) float sums[PRODUCT_GROUP][KERNEL_PANEL];
    memset(sums, 0, rows * sizeof sums[0]);
    const float *w = m->panels + panel * m->k * KERNEL_PANEL;
    size_t slices = (m->k + PRODUCT_SLICE - 1) / PRODUCT_SLICE;
    for (size_t k = 0, slice; k < m->k; k += slice, slices--) {
        slice = (m->k - k + slices - 1) / slices;
        const void *ahead = turn.first ? w + (k + slice) * KERNEL_PANEL : NULL;
        if (slices == 1) ahead = turn.last ? next : NULL;
        product_slice(m, row, rows, w, k, slice, ahead, sums);
    }
    product_finish_group(m, row, rows, panel, sums);
}

/* Panels outside, rows inside: a panel comes from memory once, and from a cache after. */
void KERNEL_FUNCTION(gemm_f32)(const struct gemm *m, size_t row_first, size_t row_count, size_t panel_first,
                               size_t panel_count) {
    const size_t panel_end = panel_first + panel_count,
                 groups_all = (row_count + PRODUCT_GROUP - 1) / PRODUCT_GROUP;
    for (size_t panel = panel_first; panel < panel_end; panel++) {
        const void *next =
            panel + 1 < panel_end ? m->panels + (panel + 1) * m->k * KERNEL_PANEL : m->prefetch;
        for (size_t r = 0, rows, groups = groups_all; r < row_count; r += rows, groups--) {
            rows = (row_count - r + groups - 1) / groups;
            product_group(m, row_first + r, rows, panel,
                          (struct product_turn){.first = r == 0, .last = groups == 1}, next);
        }
    }
}

/* Sums that another library has computed. */
void KERNEL_FUNCTION(epilogue_rows)(const struct gemm *m, const float *sums, size_t sums_stride,
                                    size_t row_first, size_t row_count) {
    for (size_t row = row_first; row < row_first + row_count; row++)
        for (size_t n = 0; n < m->n; n += KERNEL_LANES)
            product_finish(m, row, n, sums + row * sums_stride + n);
}
