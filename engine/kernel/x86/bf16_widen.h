/* bf16 without instructions for it: weights are widened to floats; activations are stored as floats already. A block
 * takes two passes, over even and over odd k: half as many accumulators at a time. The including file defines
 * BF16_BLOCK_ROWS before, and bf16_widen(from, parity): the weights of even or of odd k among as many pairs as a
 * register has lanes. */
#pragma once

#include "engine/kernel/template/prefetch.h"

enum parity { EVEN, ODD };

VECTOR_INLINE VECTOR_REGISTER bf16_widen(const unsigned char *from, enum parity parity);

/* The accumulators of even or of odd k of one block. rows and registers are constants where this is inlined, here and
 * below. */
VECTOR_INLINE void bf16_accumulate(const unsigned char *x, size_t row_bytes, size_t rows,
                                   const unsigned char *w, size_t registers, enum parity parity,
                                   const struct weight_prefetch *prefetch,
                                   VECTOR_REGISTER (*sum)[PANEL_REGISTERS]) {
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) sum[r][v] = register_zero();
    }
    for (size_t k = parity; k < KERNEL_BF16_BLOCK; k += 2, w += KERNEL_PANEL * 4) {
        VECTOR_REGISTER weight[PANEL_REGISTERS];
        if (parity == EVEN && prefetch) weight_prefetch_alone(prefetch, w, registers * REGISTER_BYTES);
        KERNEL_EACH (v, registers) weight[v] = bf16_widen(w + v * REGISTER_BYTES, parity);
        KERNEL_EACH (r, rows) {
            const VECTOR_REGISTER value =
                register_splat((const float *)(const void *)(x + r * row_bytes) + k);
            KERNEL_EACH (v, registers) sum[r][v] = register_fma(value, weight[v], sum[r][v]);
        }
    }
}

VECTOR_INLINE void bf16_block(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              size_t registers, const struct weight_prefetch *prefetch,
                              VECTOR_REGISTER (*even)[PANEL_REGISTERS],
                              VECTOR_REGISTER (*odd)[PANEL_REGISTERS]) {
    VECTOR_REGISTER sum[BF16_BLOCK_ROWS][PANEL_REGISTERS];
    bf16_accumulate(x, row_bytes, rows, w, registers, EVEN, prefetch, sum);
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) {
            even[r][v] = sum[r][v];
            /* In memory from here on: else gcc keeps both halves alive together and runs out of registers within the
             * loops, where each sum is then loaded and stored at every step. */
            __asm__("" : "+m"(even[r][v]));
        }
    }
    bf16_accumulate(x, row_bytes, rows, w, registers, ODD, prefetch, odd);
}
