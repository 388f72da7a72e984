/* GEMMs of low-precision weights, once for every instruction set (see vector_scalar.h) but for the
 * microkernel. The contract stands in kernel.h, the form of activations in convert.h. */
#pragma once

#include <math.h>
#include <string.h>

#include "engine/kernel/template/convert.h"
#include "engine/kernel/template/epilogue.h"

#define LOWP_ROWS_MAX 8 /* of any microkernel of this form */

VECTOR_INLINE float lowp_row_scale(const unsigned char *row, size_t padded) {
    float scale;
    memcpy(&scale, row + padded, sizeof scale);
    return scale;
}

/* Sum of all q of a row (group 0), or of its group - 1. */
VECTOR_INLINE int32_t lowp_row_sum(const unsigned char *row, size_t padded, size_t group) {
    int32_t sum;
    memcpy(&sum, row + padded + sizeof(float) + group * sizeof sum, sizeof sum);
    return sum;
}

/* What follows the packed halves of bytes of an int4 panel. */
struct lowp_int4 {
    const int8_t *groups; /* [groups][48][2]: scale, offset */
    const float *scales;  /* [48] */
};

VECTOR_INLINE struct lowp_int4 lowp_int4(const unsigned char *panel, size_t padded) {
    const unsigned char *groups = panel + padded / 2 * KERNEL_PANEL;
    return (struct lowp_int4){
        .groups = (const int8_t *)groups,
        .scales = (const float *)(const void *)(groups + padded / KERNEL_INT4_GROUP * KERNEL_PANEL * 2),
    };
}

/* All sums of some rows by one panel, the weights' scales included. */
typedef void lowp_microkernel_fn(const unsigned char *x, size_t row_bytes, size_t rows,
                                 const unsigned char *panel, size_t padded, float (*sums)[KERNEL_PANEL]);

/* Up to sixteen sums of a row from column n on, the weights' scales included; scale: of the row. */
VECTOR_INLINE void lowp_epilogue(const struct lowp_gemm *m, size_t row, size_t n, float scale,
                                 struct vector sums) {
    const size_t lanes = m->base.n - n < KERNEL_LANES ? m->base.n - n : KERNEL_LANES;
    epilogue_lanes(&m->base, row, n, lanes, vector_multiply(sums, vector_splat(scale)));
}

VECTOR_INLINE void lowp_epilogue_row(const struct lowp_gemm *m, size_t row, size_t panel, float scale,
                                     const float *sums) {
    const size_t first = panel * KERNEL_PANEL;
    for (size_t c = 0; c < KERNEL_PANEL && first + c < m->base.n; c += KERNEL_LANES)
        lowp_epilogue(m, row, first + c, scale, vector_load(sums + c));
}

/* The loop over panels is outside that over rows: a panel comes from memory once, and from a cache after. */
VECTOR_INLINE void lowp_gemm(const struct lowp_gemm *m, enum weight_type type, size_t row_first,
                             size_t row_count, size_t panel_first, size_t panel_count,
                             lowp_microkernel_fn *microkernel, size_t tile_rows) {
    const size_t row_bytes = kernel_row_bytes(type, m->base.k), padded = kernel_padded_k(m->base.k);
    const size_t panel_bytes = kernel_panel_bytes(type, m->base.k), row_end = row_first + row_count;
    for (size_t panel = panel_first; panel < panel_first + panel_count; panel++)
        for (size_t row = row_first, rows; row < row_end; row += rows) {
            _Alignas(KERNEL_ALIGN) float sums[LOWP_ROWS_MAX][KERNEL_PANEL];
            const unsigned char *x = m->x + row * row_bytes;
            rows = row_end - row < tile_rows ? row_end - row : tile_rows;
            microkernel(x, row_bytes, rows, m->panels + panel * panel_bytes, padded, sums);
            for (size_t r = 0; r < rows; r++) {
                float scale = type == WEIGHT_TYPE_BF16 ? 1.0f : lowp_row_scale(x + r * row_bytes, padded);
                lowp_epilogue_row(m, row + r, panel, scale, sums[r]);
            }
        }
}

/* The GEMM of a type for KERNEL_SET. type: bf16, int8 or int4; TYPE: of enum weight_type. */
#define LOWP_DEFINE_GEMM(type, TYPE, microkernel, rows)                                                      \
    void KERNEL_FUNCTION(gemm_##type)(const struct lowp_gemm *m, size_t row_first, size_t row_count,         \
                                      size_t panel_first, size_t panel_count) {                              \
        lowp_gemm(m, TYPE, row_first, row_count, panel_first, panel_count, microkernel, rows);               \
    }
