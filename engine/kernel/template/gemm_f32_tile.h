/* The microkernel of gemm_f32.h in registers, once for every instruction set that has them (the scalar one is
 * the definition and stands apart). The including file defines VECTOR_REGISTER and its functions in its
 * vector_*.h, and
 *   - GEMM_ROWS: rows of the largest tile, a literal;
 *   - GEMM_REGISTERS(rows): registers of a panel that a tile of so many rows takes at once; its accumulators,
 *     rows times registers, and their operands must fit;
 *   - GEMM_FEW_ROWS: up to so many rows stay in registers while the weights of a step of k pass; of more rows
 *     each passes while the weights stay;
 *   - GEMM_PREFETCHES: whether it prefetches. */
#pragma once

#include "engine/kernel/template/gemm_f32.h"
#include "engine/kernel/template/row_switch.h"
#include "engine/kernel/template/strip.h"

/* One step of k. rows and registers are constants where this is inlined, here and below. */
INNERMOST_INLINE void gemm_f32_step(const float *x, size_t stride, size_t rows, const float *w,
                                    size_t registers, VECTOR_REGISTER (*sum)[PANEL_REGISTERS]) {
    VECTOR_REGISTER weight[PANEL_REGISTERS], value[GEMM_ROWS];
    if (rows <= GEMM_FEW_ROWS) {
        KERNEL_EACH (r, rows) value[r] = register_splat(x + r * stride);
        KERNEL_EACH (v, registers) {
            weight[v] = register_load(w + v * REGISTER_LANES);
            KERNEL_EACH (r, rows) sum[r][v] = register_fma(value[r], weight[v], sum[r][v]);
        }
    } else {
        KERNEL_EACH (v, registers) weight[v] = register_load(w + v * REGISTER_LANES);
        KERNEL_EACH (r, rows) {
            value[r] = register_splat(x + r * stride);
            KERNEL_EACH (v, registers) sum[r][v] = register_fma(value[r], weight[v], sum[r][v]);
        }
    }
}

/* `rows` rows by `registers` registers of a panel from `column` on. Where a panel takes several such tiles,
 * each prefetches its share of the lines; of a strip the first does all. strip is a constant too. */
INNERMOST_INLINE void gemm_f32_tile(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                                    size_t column, size_t registers, bool strip, float (*sums)[KERNEL_PANEL],
                                    const struct gemm_prefetch *prefetch) {
    VECTOR_REGISTER sum[GEMM_ROWS][PANEL_REGISTERS];
    const size_t shares = strip ? 1 : PANEL_REGISTERS / registers,
                 share = strip ? 0 : column / REGISTER_LANES / registers,
                 advance = strip ? PREFETCH_STREAMS * STRIP_SPACING : shares * CACHE_LINE;
    const bool prefetches = GEMM_PREFETCHES && prefetch->period;
    const size_t period = prefetches ? shares * prefetch->period : k;
    uintptr_t line = prefetch->line + share * CACHE_LINE;
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) sum[r][v] = register_load(sums[r] + column + v * REGISTER_LANES);
    }
    for (size_t i = 0, end; i < k; line += advance) {
        if (prefetches) prefetch_lines((const void *)line, prefetch->spacing);
        for (end = k - i < period ? k : i + period; i < end; i++, w += KERNEL_PANEL)
            gemm_f32_step(x + i, stride, rows, w + column, registers, sum);
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) register_store(sums[r] + column + v * REGISTER_LANES, sum[r][v]);
    }
}

INNERMOST_INLINE void gemm_f32_columns(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                                       struct panel_columns columns, size_t registers, bool strip,
                                       float (*sums)[KERNEL_PANEL], const struct gemm_prefetch *prefetch) {
    for (size_t column = columns.first; column < columns.end; column += registers * REGISTER_LANES)
        gemm_f32_tile(x, stride, rows, w, k, column, registers, strip, sums, prefetch);
}

INNERMOST_INLINE void gemm_f32_panel(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                                     struct panel_columns columns, float (*sums)[KERNEL_PANEL],
                                     const struct gemm_prefetch *prefetch) {
    const size_t registers = GEMM_REGISTERS(rows);
    if (kernel_columns_are_all(columns))
        gemm_f32_columns(x, stride, rows, w, k, (struct panel_columns){.end = KERNEL_PANEL}, registers, false,
                         sums, prefetch);
    else
        gemm_f32_columns(x, stride, rows, w, k, columns, strip_registers(registers), true, sums, prefetch);
}

#define GEMM_F32_CALL(n) gemm_f32_panel(x, stride, n, w, k, columns, sums, prefetch)
static void gemm_f32_microkernel(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                                 struct panel_columns columns, float (*sums)[KERNEL_PANEL],
                                 const struct gemm_prefetch *prefetch) {
    ROW_SWITCH(GEMM_ROWS, rows, GEMM_F32_CALL)
}
