/* GEMM of bf16 weights in registers, once for every instruction set that has them. The including file defines
 * KERNEL_SET, VECTOR_REGISTER and its functions in its vector_*.h, and
 *   - BF16_ROWS: rows of the largest tile, a literal;
 *   - BF16_REGISTERS(rows): registers of a panel that a tile of so many rows takes at once;
 *   - BF16_ROW_BYTES: bytes of an activation in a converted row;
 *   - bf16_store(row, i, v): converts sixteen activations, to column i of a row;
 *   - bf16_block(x, row_bytes, rows, w, registers, even, odd): the two accumulators of a block of k, of even
 *     and of odd k, of rows x, by `registers` registers of the panel from w on. */
#pragma once

#include "engine/kernel/template/lowp.h"
#include "engine/kernel/template/row_switch.h"

void KERNEL_FUNCTION(convert_bf16)(const struct activation_rows *rows, size_t row_first, size_t row_count) {
    convert_rows_bf16(rows, row_first, row_count, bf16_store);
}

/* rows and registers are constants where this is inlined, here and below. */
VECTOR_INLINE void bf16_add_block(const unsigned char *x, size_t row_bytes, size_t rows,
                                  const unsigned char *w, size_t column, size_t registers,
                                  float (*sums)[KERNEL_PANEL]) {
    VECTOR_REGISTER even[BF16_ROWS][PANEL_REGISTERS], odd[BF16_ROWS][PANEL_REGISTERS];
    bf16_block(x, row_bytes, rows, w + column * 2 * sizeof(uint16_t), registers, even, odd);
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) {
            float *to = sums[r] + column + v * REGISTER_LANES;
            register_store(to, register_add(register_load(to), register_add(even[r][v], odd[r][v])));
        }
    }
}

VECTOR_INLINE void bf16_panel(const unsigned char *x, size_t row_bytes, size_t rows,
                              const unsigned char *panel, size_t padded, float (*sums)[KERNEL_PANEL]) {
    const size_t registers = BF16_REGISTERS(rows);
    memset(sums, 0, rows * sizeof sums[0]);
    for (size_t k = 0; k < padded; k += KERNEL_BF16_BLOCK)
        for (size_t column = 0; column < KERNEL_PANEL; column += registers * REGISTER_LANES)
            bf16_add_block(x + k * BF16_ROW_BYTES, row_bytes, rows,
                           panel + k * KERNEL_PANEL * sizeof(uint16_t), column, registers, sums);
}

#define BF16_CALL(n) bf16_panel(x, row_bytes, n, panel, padded, sums)
static void bf16_microkernel(const unsigned char *x, size_t row_bytes, size_t rows,
                             const unsigned char *panel, size_t padded,
                             float (*sums)[KERNEL_PANEL]){ROW_SWITCH(BF16_ROWS, rows, BF16_CALL)}

LOWP_DEFINE_GEMM(bf16, WEIGHT_TYPE_BF16, bf16_microkernel, BF16_ROWS)
