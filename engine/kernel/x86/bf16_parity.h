/* A block of bf16 for lowp_bf16.h in two passes, over even and over odd k: half as many accumulators at a
 * time. The including file defines BF16_ROWS before, and bf16_accumulate(), or takes that of bf16_widen.h. */
#pragma once

#include "engine/kernel/template/prefetch.h"

enum parity { EVEN, ODD };

/* The accumulators of even or of odd k of one block. */
VECTOR_INLINE void bf16_accumulate(const unsigned char *x, size_t row_bytes, size_t rows,
                                   const unsigned char *w, size_t registers, enum parity parity,
                                   const struct weight_prefetch *prefetch,
                                   VECTOR_REGISTER (*sum)[PANEL_REGISTERS]);

VECTOR_INLINE void bf16_block(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              size_t registers, const struct weight_prefetch *prefetch,
                              VECTOR_REGISTER (*even)[PANEL_REGISTERS],
                              VECTOR_REGISTER (*odd)[PANEL_REGISTERS]) {
    VECTOR_REGISTER sum[BF16_ROWS][PANEL_REGISTERS];
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
