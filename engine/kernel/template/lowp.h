/* GEMMs of low-precision weights, once for every instruction set (see vector_scalar.h) but for the innermost
 * tiles. The contract stands in kernel.h.
 *
 * A prepared row of bf16 is [k] numbers, in the form that the tiles of the same table read; a row of int8 and
 * int4 is int8_t [k], float scale, int32_t sum of all, int32_t sums of each KERNEL_INT4_GROUP. k is the
 * padded one. */
#pragma once

#include <math.h>
#include <string.h>

#include "engine/kernel/template/convert.h"
#include "engine/kernel/template/epilogue.h"

VECTOR_INLINE float narrow_scale(const unsigned char *row, size_t padded) {
    float scale;
    memcpy(&scale, row + padded, sizeof scale);
    return scale;
}

/* Sum of all q of a row (group 0), or of its group - 1. */
VECTOR_INLINE int32_t narrow_sum(const unsigned char *row, size_t padded, size_t group) {
    int32_t sum;
    memcpy(&sum, row + padded + sizeof(float) + group * sizeof sum, sizeof sum);
    return sum;
}

/* What follows the halves of bytes of an int4 panel. */
struct narrow_int4 {
    const int8_t *steps; /* [groups][48][2]: m, c */
    const float *scales; /* [48] */
};

VECTOR_INLINE struct narrow_int4 narrow_int4(const unsigned char *panel, size_t padded) {
    const unsigned char *steps = panel + padded / 2 * KERNEL_PANEL;
    return (struct narrow_int4){
        .steps = (const int8_t *)steps,
        .scales = (const float *)(const void *)(steps + padded / KERNEL_INT4_GROUP * KERNEL_PANEL * 2),
    };
}

/* All sums of up to tile_rows rows by one panel, weight scales included. */
typedef void narrow_tile_fn(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                            size_t padded, float (*sums)[KERNEL_PANEL]);

/* Up to sixteen sums of a row, weight scales included, from column n on. */
VECTOR_INLINE void narrow_finish(const struct lowp_gemm *m, size_t row, size_t n, float scale,
                                 struct vector sums) {
    const size_t lanes = m->base.n - n < KERNEL_LANES ? m->base.n - n : KERNEL_LANES;
    product_finish_lanes(&m->base, row, n, lanes, vector_multiply(sums, vector_splat(scale)));
}

VECTOR_INLINE void narrow_finish_row(const struct lowp_gemm *m, size_t row, size_t panel, float scale,
                                     const float *sums) {
    const size_t first = panel * KERNEL_PANEL;
    for (size_t c = 0; c < KERNEL_PANEL && first + c < m->base.n; c += KERNEL_LANES)
        narrow_finish(m, row, first + c, scale, vector_load(sums + c));
}

/* Panels outside, rows inside: a panel comes from memory once, and from a cache after. */
VECTOR_INLINE void narrow_tiles(const struct lowp_gemm *m, enum weight_type type, size_t row_first,
                                size_t row_count, size_t panel_first, size_t panel_count,
                                narrow_tile_fn *tile, size_t tile_rows) {
    const size_t row_bytes = kernel_row_bytes(type, m->base.k), padded = kernel_padded_k(m->base.k);
    const size_t panel_bytes = kernel_panel_bytes(type, m->base.k), row_end = row_first + row_count;
    for (size_t panel = panel_first; panel < panel_first + panel_count; panel++)
        for (size_t row = row_first, rows; row < row_end; row += rows) {
            _Alignas(KERNEL_ALIGN) float sums[NARROW_ROWS][KERNEL_PANEL];
            const unsigned char *x = m->x + row * row_bytes;
            rows = row_end - row < tile_rows ? row_end - row : tile_rows;
            tile(x, row_bytes, rows, m->panels + panel * panel_bytes, padded, sums);
            for (size_t r = 0; r < rows; r++) {
                float scale = type == WEIGHT_TYPE_BF16 ? 1.0f : narrow_scale(x + r * row_bytes, padded);
                narrow_finish_row(m, row + r, panel, scale, sums[r]);
            }
        }
}

#define NARROW_DEFINE(name, type, tile, tile_rows)                                                           \
    void name(const struct lowp_gemm *m, size_t row_first, size_t row_count, size_t panel_first,             \
              size_t panel_count) {                                                                          \
        narrow_tiles(m, type, row_first, row_count, panel_first, panel_count, tile, tile_rows);              \
    }
