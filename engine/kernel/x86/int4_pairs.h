/* int4 by instructions that multiply bytes and add the products by pairs, in 16 bits: eight pairs of at most 15 * 127 fit there,
 * so that a group of weights is summed in two instructions for each register, and only its sum is widened. What few rows
 * (here) and many (int4_bytes.h) have in common. The including file has the registers: int4_avx2.h or int4_avx512.h. */
#pragma once

#include "engine/kernel/template/lowp.h"

/* Of the columns of a register, in pairs of 16 bits: scale and offset of a group, and its scale twice. */
struct int4_scales {
    INT_REGISTER pairs, twice;
};

VECTOR_INLINE struct int4_scales int4_load_scales(const int8_t *groups) {
    const INT_REGISTER pairs = int4_widen(groups);
    return (struct int4_scales){pairs, int4_first_of_pairs(pairs)};
}

/* Sums of a group, in pairs of 16 bits. rows and registers are constants where this is inlined. */
VECTOR_INLINE void int4_group(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              size_t registers, INT_REGISTER (*sum)[PANEL_REGISTERS]) {
    KERNEL_EACH (v, registers) {
        KERNEL_EACH (s, KERNEL_INT4_GROUP / 8) {
            const INT_REGISTER packed = load_bytes(w + s * KERNEL_PANEL * 4 + v * REGISTER_BYTES);
            const INT_REGISTER lower = int4_lower(packed), upper = int4_upper(packed);
            const unsigned char *q = x + 4 * s;
            KERNEL_EACH (r, rows)
                int4_add_products(&sum[r][v], lower, splat_bytes(q + r * row_bytes), s == 0);
            q += KERNEL_INT4_GROUP / 2;
            KERNEL_EACH (r, rows) int4_add_products(&sum[r][v], upper, splat_bytes(q + r * row_bytes), false);
        }
    }
}

/* m * (sum + -8 * sum_of_x) + c * sum_of_x */
VECTOR_INLINE void int4_add_group(INT_REGISTER *total, INT_REGISTER sum, struct int4_scales scales,
                                  int32_t sum_of_x) {
    const INT_REGISTER factors = int_splat((int32_t)((uint32_t)sum_of_x << 16 | (uint16_t)(-8 * sum_of_x)));
    *total = int_add(*total, int_add(int_add_pairs(sum, scales.twice), int_add_pairs(scales.pairs, factors)));
}
