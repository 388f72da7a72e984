/* A block of bf16 for lowp_bf16.h in two passes, over even and over odd k: half as many accumulators at a
 * time. The including file defines bf16_accumulate(), or takes that of bf16_widen.h. */
#pragma once

#include "engine/kernel/variant.h"

enum parity { EVEN, ODD };

/* The accumulators of even or of odd k of one block. */
VECTOR_INLINE void bf16_accumulate(const unsigned char *x, size_t row_bytes, size_t rows,
                                   const unsigned char *w, size_t registers, enum parity parity,
                                   VECTOR_REGISTER (*sum)[PANEL_REGISTERS]);

VECTOR_INLINE void bf16_block(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              size_t registers, VECTOR_REGISTER (*even)[PANEL_REGISTERS],
                              VECTOR_REGISTER (*odd)[PANEL_REGISTERS]) {
    bf16_accumulate(x, row_bytes, rows, w, registers, EVEN, even);
    bf16_accumulate(x, row_bytes, rows, w, registers, ODD, odd);
}
