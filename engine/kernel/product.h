/* Products, once for every instruction set (see vector_scalar.h) but for the innermost tile: the including
 * file defines PRODUCT_ROWS and
 *
 *     void product_add(const float *x, size_t stride, size_t rows, const float *w, size_t k, float
 * (*sums)[48])
 *
 * which continues the chains of 1 .. PRODUCT_ROWS rows of x with the k steps of a panel that start at w. */
#pragma once

#include <string.h>

#include "engine/kernel/finish.h"

/* A panel is walked in slices of k that stay in the second level cache (192 KiB) while a group of rows goes
 * over them. The chains are saved between slices, which changes no bit. */
#define PRODUCT_SLICE 1024
#define PRODUCT_GROUP 64 /* rows: 12 KiB of sums on the stack */

static void product_add(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                        float (*sums)[KERNEL_PANEL]);

/* Rows [row, +rows), at most PRODUCT_GROUP, by one panel. */
static void product_group(const struct matmul *m, size_t row, size_t rows, size_t panel) {
    _Alignas(KERNEL_ALIGN) float sums[PRODUCT_GROUP][KERNEL_PANEL];
    memset(sums, 0, rows * sizeof sums[0]);
    const float *w = m->panels + panel * m->k * KERNEL_PANEL;
    for (size_t k = 0, slice; k < m->k; k += slice) {
        slice = m->k - k < PRODUCT_SLICE ? m->k - k : PRODUCT_SLICE;
        for (size_t r = 0, tile; r < rows; r += tile) {
            tile = rows - r < PRODUCT_ROWS ? rows - r : PRODUCT_ROWS;
            product_add(m->x + (row + r) * m->x_stride + k, m->x_stride, tile, w + k * KERNEL_PANEL, slice,
                        sums + r);
        }
    }
    size_t first = panel * KERNEL_PANEL;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < KERNEL_PANEL && first + c < m->n; c += KERNEL_LANES)
            product_finish(m, row + r, first + c, sums[r] + c);
}

/* Panels outside, rows inside: a panel comes from memory once for up to PRODUCT_GROUP rows, and from a cache
 * after. */
static void product_tiles(const struct matmul *m, size_t row_first, size_t row_count, size_t panel_first,
                          size_t panel_count) {
    for (size_t panel = panel_first; panel < panel_first + panel_count; panel++)
        for (size_t r = 0, rows; r < row_count; r += rows) {
            rows = row_count - r < PRODUCT_GROUP ? row_count - r : PRODUCT_GROUP;
            product_group(m, row_first + r, rows, panel);
        }
}

/* Sums that another library has computed. */
static void product_finish_rows(const struct matmul *m, const float *sums, size_t sums_stride,
                                size_t row_first, size_t row_count) {
    for (size_t row = row_first; row < row_first + row_count; row++)
        for (size_t n = 0; n < m->n; n += KERNEL_LANES)
            product_finish(m, row, n, sums + row * sums_stride + n);
}
