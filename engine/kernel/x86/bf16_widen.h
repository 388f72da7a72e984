/* bf16 without instructions for it: weights are widened to floats; activations are stored as floats already.
 * The including file defines bf16_widen(from, parity): the weights of even or of odd k among as many pairs as
 * a register has lanes. */
#pragma once

#include "engine/kernel/x86/bf16_parity.h"

VECTOR_INLINE VECTOR_REGISTER bf16_widen(const unsigned char *from, enum parity parity);

/* rows and registers are constants where this is inlined. */
VECTOR_INLINE void bf16_accumulate(const unsigned char *x, size_t row_bytes, size_t rows,
                                   const unsigned char *w, size_t registers, enum parity parity,
                                   const struct weight_prefetch *prefetch,
                                   VECTOR_REGISTER (*sum)[PANEL_REGISTERS]) {
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) sum[r][v] = register_zero();
    }
    for (size_t k = parity; k < KERNEL_BF16_BLOCK; k += 2, w += KERNEL_PANEL * 4) {
        VECTOR_REGISTER weight[PANEL_REGISTERS];
        if (parity == EVEN) weight_prefetch_alone(prefetch, w, registers * REGISTER_BYTES);
        KERNEL_EACH (v, registers) weight[v] = bf16_widen(w + v * REGISTER_BYTES, parity);
        KERNEL_EACH (r, rows) {
            const VECTOR_REGISTER value =
                register_splat((const float *)(const void *)(x + r * row_bytes) + k);
            KERNEL_EACH (v, registers) sum[r][v] = register_fma(value, weight[v], sum[r][v]);
        }
    }
}
