/* The epilogue of a GEMM, once for every instruction set (see vector_scalar.h). */
#pragma once

#include "engine/kernel/template/vector_math.h"

/* Up to sixteen sums of a row, from column n on: scale, bias, activation, residual. */
VECTOR_INLINE void epilogue_lanes(const struct gemm *m, size_t row, size_t n, size_t lanes, struct vector v) {
    if (m->row_scale) v = vector_multiply(v, vector_splat(m->row_scale[row]));
    if (m->bias) v = vector_add(v, vector_load_first(m->bias + n, lanes));
    v = vector_activate(m->activation, v);
    if (m->residual) v = vector_add(v, vector_load_first(m->residual + row * m->residual_stride + n, lanes));
    float *out = m->out + row * m->out_stride + n;
    vector_store_first(out, v, lanes);
    /* Prefetched for writing are the same columns of the next panel: a store that misses the cache would wait
     * behind all the weights that are being loaded. An address and no pointer: it may lie beyond what was
     * allocated. */
    __builtin_prefetch((const void *)((uintptr_t)out + KERNEL_PANEL * sizeof *out), 1, 3);
}

VECTOR_INLINE void epilogue_sums(const struct gemm *m, size_t row, size_t n, const float *sums) {
    size_t lanes = m->n - n < KERNEL_LANES ? m->n - n : KERNEL_LANES;
    epilogue_lanes(m, row, n, lanes, vector_load_first(sums, lanes));
}
