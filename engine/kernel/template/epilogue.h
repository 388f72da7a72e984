/* The epilogue of a GEMM, once for every instruction set (see vector_scalar.h). */
#pragma once

#include "engine/kernel/template/vector_math.h"

/* Prefetched for writing are the same columns of the next panel, where nothing else has done so (output_prefetch_row()): a store
 * that misses the cache would wait behind all the weights that are being loaded. An address and no pointer: it may lie beyond
 * what was allocated. */
VECTOR_INLINE void epilogue_store(float *out, struct vector v, size_t lanes, bool prefetch_next) {
    vector_store_first(out, v, lanes);
    if (prefetch_next) __builtin_prefetch((const void *)((uintptr_t)out + KERNEL_PANEL * sizeof *out), 1, 3);
}

/* Up to sixteen sums of a row, from column n on: scale, bias, activation, residual. */
VECTOR_INLINE void epilogue_lanes(const struct gemm *m, size_t row, size_t n, size_t lanes, struct vector v) {
    if (m->row_scale) v = vector_multiply(v, vector_splat(m->row_scale[row]));
    if (m->bias) v = vector_add(v, vector_load_first(m->bias + n, lanes));
    v = vector_activate(m->activation, v);
    if (m->residual) v = vector_add(v, vector_load_first(m->residual + row * m->residual_stride + n, lanes));
    epilogue_store(m->out + row * m->out_stride + n, v, lanes, true);
}

/* The same of a whole panel: what there is to do is asked once for all of its vectors. */
#define EPILOGUE_VECTORS (KERNEL_PANEL / KERNEL_LANES)
VECTOR_INLINE void epilogue_panel(const struct gemm *m, size_t row, size_t n, struct vector *v,
                                  bool prefetch_next) {
    if (m->row_scale) {
        const struct vector scale = vector_splat(m->row_scale[row]);
        KERNEL_EACH (i, EPILOGUE_VECTORS) v[i] = vector_multiply(v[i], scale);
    }
    if (m->bias) {
        const float *bias = m->bias + n;
        KERNEL_EACH (i, EPILOGUE_VECTORS) v[i] = vector_add(v[i], vector_load(bias + i * KERNEL_LANES));
    }
    if (m->activation != ACTIVATION_NONE) {
        KERNEL_EACH (i, EPILOGUE_VECTORS) v[i] = vector_activate(m->activation, v[i]);
    }
    if (m->residual) {
        const float *residual = m->residual + row * m->residual_stride + n;
        KERNEL_EACH (i, EPILOGUE_VECTORS) v[i] = vector_add(v[i], vector_load(residual + i * KERNEL_LANES));
    }
    float *out = m->out + row * m->out_stride + n;
    KERNEL_EACH (i, EPILOGUE_VECTORS)
        epilogue_store(out + i * KERNEL_LANES, v[i], KERNEL_LANES, prefetch_next);
}

VECTOR_INLINE size_t epilogue_lanes_from(const struct gemm *m, size_t n) {
    return m->n - n < KERNEL_LANES ? m->n - n : KERNEL_LANES;
}

/* A row's sums by the tile's columns of a panel that starts at column n, times `scale`. */
VECTOR_INLINE void epilogue_panel_sums(const struct gemm *m, size_t row, size_t n, float scale,
                                       const float *sums, bool prefetch_next) {
    const struct panel_columns columns = kernel_columns(m);
    const struct vector factor = vector_splat(scale);
    if (kernel_columns_are_all(columns) && n + KERNEL_PANEL <= m->n) {
        struct vector v[EPILOGUE_VECTORS];
        KERNEL_EACH (i, EPILOGUE_VECTORS)
            v[i] = vector_multiply(vector_load(sums + i * KERNEL_LANES), factor);
        epilogue_panel(m, row, n, v, prefetch_next);
        return;
    }
    for (size_t c = columns.first; c < columns.end && n + c < m->n; c += KERNEL_LANES)
        epilogue_lanes(m, row, n + c, epilogue_lanes_from(m, n + c),
                       vector_multiply(vector_load(sums + c), factor));
}

VECTOR_INLINE void epilogue_sums(const struct gemm *m, size_t row, size_t n, const float *sums) {
    const size_t lanes = epilogue_lanes_from(m, n);
    epilogue_lanes(m, row, n, lanes, vector_load_first(sums, lanes));
}
