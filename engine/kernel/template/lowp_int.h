/* GEMMs of int8 and int4 weights in registers, once for every instruction set that has them. Weights are
 * stored unsigned, with 128 (int8) or 8 (int4) added; where the instruction takes them so, each accumulator
 * starts with the compensation, minus that number times the sum of the activations. Sums of 32 bits may wrap
 * on their way: only their end counts. The including file defines KERNEL_SET, INT_REGISTER (REGISTER_LANES
 * sums of 32 bits), and
 *   - INT8_ROWS, INT4_ROWS: rows of the largest tiles, literals;
 *   - INT8_REGISTERS(rows), INT4_REGISTERS(rows): registers of a panel that a tile of so many rows takes at
 *     once;
 *   - INT8_STEP: of k, that a call of int8_step() takes;
 *   - INT8_COMPENSATION: 128, or 0 where int8_step() makes the weights signed itself;
 *   - int_splat(value): one number in all lanes;
 *   - int_store(sum, scales, column, sums): the sums of the columns from `column` on as floats, times the
 *     scales of the weights;
 *   - int8_step(x, row_bytes, rows, w, registers, sum): adds INT8_STEP products to each sum;
 *   - int4_group(x, row_bytes, rows, w, registers, sum): adds the products of a group, of weights with 8
 *     added, to each sum;
 *   - struct int4_scales, int4_load_scales(groups): scales and offsets of the groups of a register's columns;
 *   - int4_add_group(total, sum, scales, sum_of_x): total + scale * sum + offset * sum_of_x, where sum and
 *     sum_of_x fit into 16 bits. */
#pragma once

#include "engine/kernel/template/lowp.h"
#include "engine/kernel/template/row_switch.h"

/* `rows` rows by `registers` registers of a panel from the first on; both numbers are constants where this is
 * inlined, here and below. */
VECTOR_INLINE void int8_tile(const unsigned char *x, size_t row_bytes, size_t rows,
                             const unsigned char *panel, size_t padded, size_t first, size_t registers,
                             float (*sums)[KERNEL_PANEL]) {
    INT_REGISTER sum[INT8_ROWS][PANEL_REGISTERS];
    const float *scales = (const float *)(const void *)(panel + padded * KERNEL_PANEL);
    const unsigned char *w = panel + first * REGISTER_BYTES;
    KERNEL_EACH (r, rows) {
        const INT_REGISTER start = int_splat(-INT8_COMPENSATION * lowp_row_sum(x + r * row_bytes, padded, 0));
        KERNEL_EACH (v, registers) sum[r][v] = start;
    }
    for (size_t k = 0; k < padded; k += INT8_STEP, w += INT8_STEP * KERNEL_PANEL)
        int8_step(x + k, row_bytes, rows, w, registers, sum);
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) int_store(sum[r][v], scales, (first + v) * REGISTER_LANES, sums[r]);
    }
}

VECTOR_INLINE void int4_tile(const unsigned char *x, size_t row_bytes, size_t rows,
                             const unsigned char *panel, size_t padded, size_t first, size_t registers,
                             float (*sums)[KERNEL_PANEL]) {
    const struct lowp_int4 weights = lowp_int4(panel, padded);
    const int8_t *groups = weights.groups + first * REGISTER_LANES * 2;
    INT_REGISTER total[INT4_ROWS][PANEL_REGISTERS];
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) total[r][v] = int_splat(0);
    }
    for (size_t g = 0; g < padded / KERNEL_INT4_GROUP; g++, groups += KERNEL_PANEL * 2) {
        INT_REGISTER sum[INT4_ROWS][PANEL_REGISTERS];
        KERNEL_EACH (r, rows) {
            const INT_REGISTER start = int_splat(-8 * lowp_row_sum(x + r * row_bytes, padded, 1 + g));
            KERNEL_EACH (v, registers) sum[r][v] = start;
        }
        int4_group(x + g * KERNEL_INT4_GROUP, row_bytes, rows,
                   panel + g * KERNEL_INT4_GROUP / 2 * KERNEL_PANEL + first * REGISTER_BYTES, registers, sum);
        KERNEL_EACH (v, registers) {
            const struct int4_scales scales = int4_load_scales(groups + v * REGISTER_LANES * 2);
            KERNEL_EACH (r, rows)
                int4_add_group(&total[r][v], sum[r][v], scales,
                               lowp_row_sum(x + r * row_bytes, padded, 1 + g));
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers)
            int_store(total[r][v], weights.scales, (first + v) * REGISTER_LANES, sums[r]);
    }
}

VECTOR_INLINE void int8_panel(const unsigned char *x, size_t row_bytes, size_t rows,
                              const unsigned char *panel, size_t padded, float (*sums)[KERNEL_PANEL]) {
    const size_t registers = INT8_REGISTERS(rows);
    for (size_t first = 0; first < PANEL_REGISTERS; first += registers)
        int8_tile(x, row_bytes, rows, panel, padded, first, registers, sums);
}

VECTOR_INLINE void int4_panel(const unsigned char *x, size_t row_bytes, size_t rows,
                              const unsigned char *panel, size_t padded, float (*sums)[KERNEL_PANEL]) {
    const size_t registers = INT4_REGISTERS(rows);
    for (size_t first = 0; first < PANEL_REGISTERS; first += registers)
        int4_tile(x, row_bytes, rows, panel, padded, first, registers, sums);
}

#define INT8_CALL(n) int8_panel(x, row_bytes, n, panel, padded, sums)
static void int8_microkernel(const unsigned char *x, size_t row_bytes, size_t rows,
                             const unsigned char *panel, size_t padded, float (*sums)[KERNEL_PANEL]) {
    ROW_SWITCH(INT8_ROWS, rows, INT8_CALL)
}

#define INT4_CALL(n) int4_panel(x, row_bytes, n, panel, padded, sums)
static void int4_microkernel(const unsigned char *x, size_t row_bytes, size_t rows,
                             const unsigned char *panel, size_t padded,
                             float (*sums)[KERNEL_PANEL]){ROW_SWITCH(INT4_ROWS, rows, INT4_CALL)}

LOWP_DEFINE_GEMM(int8, WEIGHT_TYPE_INT8, int8_microkernel, INT8_ROWS)
    LOWP_DEFINE_GEMM(int4, WEIGHT_TYPE_INT4, int4_microkernel, INT4_ROWS)
