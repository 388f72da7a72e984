/* bf16 without instructions for it: weights are widened to floats; activations are stored as floats already. A block
 * takes two passes, over even and over odd k: half as many accumulators at a time. The including file defines
 * BF16_BLOCK_ROWS before, and bf16_widen(from, parity): the weights of even or of odd k among as many pairs as a
 * register has lanes. */
#pragma once

#include "engine/kernel/template/prefetch.h"

VECTOR_INLINE VECTOR_REGISTER bf16_widen(const unsigned char *from, enum parity parity);

/* The accumulators of even or of odd k of one block. kept: w are floats that were kept; else they go to `keep`, unless that
 * is NULL. rows, registers, keep (NULL or not) and kept are constants where this is inlined, here and below. */
VECTOR_INLINE void bf16_accumulate(const unsigned char *x, size_t row_bytes, size_t rows,
                                   const unsigned char *w, size_t registers, enum parity parity,
                                   unsigned char *keep, bool kept, const struct weight_prefetch *prefetch,
                                   VECTOR_REGISTER (*sum)[PANEL_REGISTERS]) {
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) sum[r][v] = register_zero();
    }
    for (size_t k = parity; k < KERNEL_BF16_BLOCK; k += 2, w += KERNEL_PANEL * 4) {
        VECTOR_REGISTER weight[PANEL_REGISTERS];
        if (parity == EVEN && prefetch) weight_prefetch_alone(prefetch, w, registers * REGISTER_BYTES);
        KERNEL_EACH (v, registers) {
            const unsigned char *from = w + v * REGISTER_BYTES;
            weight[v] = kept ? register_load((const float *)(const void *)from) : bf16_widen(from, parity);
            if (keep) register_store((float *)(void *)(keep + v * REGISTER_BYTES), weight[v]);
        }
        if (keep) keep += KERNEL_PANEL * sizeof(float);
        KERNEL_EACH (r, rows) {
            const VECTOR_REGISTER value =
                register_splat((const float *)(const void *)(x + r * row_bytes) + k);
            KERNEL_EACH (v, registers) sum[r][v] = register_fma(value, weight[v], sum[r][v]);
        }
    }
}

/* Of what is kept of a block: floats of even k, then of odd k. */
#define BF16_KEPT_HALF (KERNEL_BF16_BLOCK / 2 * KERNEL_PANEL * sizeof(float))

VECTOR_INLINE void bf16_both_parities(const unsigned char *x, size_t row_bytes, size_t rows,
                                      const unsigned char *w, size_t registers, unsigned char *keep,
                                      bool kept, const struct weight_prefetch *prefetch,
                                      VECTOR_REGISTER (*even)[PANEL_REGISTERS],
                                      VECTOR_REGISTER (*odd)[PANEL_REGISTERS]) {
    VECTOR_REGISTER sum[BF16_BLOCK_ROWS][PANEL_REGISTERS];
    /* Sums stay in memory between blocks: else gcc moves them to other places on the stack for as long as the loop over
     * blocks takes, and loads, adds and stores wait for each other (6 % of a GEMM). */
    __asm__ volatile("" : : : "memory");
    bf16_accumulate(x, row_bytes, rows, w, registers, EVEN, keep, kept, prefetch, sum);
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) {
            even[r][v] = sum[r][v];
            /* In memory from here on: else gcc keeps both halves alive together and runs out of registers within the
             * loops, where each sum is then loaded and stored at every step. */
            __asm__("" : "+m"(even[r][v]));
        }
    }
    bf16_accumulate(x, row_bytes, rows, kept ? w + BF16_KEPT_HALF : w, registers, ODD,
                    keep ? keep + BF16_KEPT_HALF : NULL, kept, prefetch, odd);
}

VECTOR_INLINE void bf16_block(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              size_t registers, unsigned char *keep, const struct weight_prefetch *prefetch,
                              VECTOR_REGISTER (*even)[PANEL_REGISTERS],
                              VECTOR_REGISTER (*odd)[PANEL_REGISTERS]) {
    bf16_both_parities(x, row_bytes, rows, w, registers, keep, false, prefetch, even, odd);
}

// NOLINTBEGIN(readability-non-const-parameter): others write to keep
VECTOR_INLINE void bf16_kept_block(const unsigned char *x, size_t row_bytes, size_t rows,
                                   const unsigned char *w, size_t registers, unsigned char *keep,
                                   const struct weight_prefetch *prefetch,
                                   VECTOR_REGISTER (*even)[PANEL_REGISTERS],
                                   VECTOR_REGISTER (*odd)[PANEL_REGISTERS]) {
    // NOLINTEND(readability-non-const-parameter)
    (void)keep, (void)prefetch;
    bf16_both_parities(x, row_bytes, rows, w, registers, NULL, true, NULL, even, odd);
}
