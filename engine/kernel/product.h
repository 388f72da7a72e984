/* What follows the sums of a product, once for every instruction set (see vector_scalar.h). */
#pragma once

#include "engine/kernel/vector_math.h"

/* Sixteen sums of row, from column n on, of which `lanes` are there. */
VECTOR_INLINE void product_finish_lanes(const struct matmul *m, size_t row, size_t n, size_t lanes,
                                        struct vector v) {
    if (m->row_scale) v = vector_multiply(v, vector_splat(m->row_scale[row]));
    if (m->bias) v = vector_add(v, vector_load_first(m->bias + n, lanes));
    v = vector_activate(m->activation, v);
    if (m->residual) v = vector_add(v, vector_load_first(m->residual + row * m->residual_stride + n, lanes));
    vector_store_first(m->out + row * m->out_stride + n, v, lanes);
}

/* Scale, bias, activation and residual of one row of a panel, whose sums are in tile[48]. */
VECTOR_INLINE void product_finish(const struct matmul *m, size_t row, size_t panel, const float *tile) {
    size_t first = panel * KERNEL_PANEL;
    for (size_t c = 0; c < KERNEL_PANEL && first + c < m->n; c += KERNEL_LANES) {
        size_t left = m->n - first - c;
        product_finish_lanes(m, row, first + c, left < KERNEL_LANES ? left : KERNEL_LANES,
                             vector_load(tile + c));
    }
}

/* The same for sums that another library has computed: rows of sums [row_count, n]. */
VECTOR_INLINE void product_finish_row(const struct matmul *m, size_t row, const float *sums) {
    for (size_t n = 0; n < m->n; n += KERNEL_LANES) {
        size_t lanes = m->n - n < KERNEL_LANES ? m->n - n : KERNEL_LANES;
        product_finish_lanes(m, row, n, lanes, vector_load_first(sums + n, lanes));
    }
}

static void product_finish_rows(const struct matmul *m, const float *sums, size_t sums_stride, size_t row_first,
                                size_t row_count) {
    for (size_t row = row_first; row < row_first + row_count; row++)
        product_finish_row(m, row, sums + row * sums_stride);
}
