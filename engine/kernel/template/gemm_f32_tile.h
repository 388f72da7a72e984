/* The microkernel of gemm_f32.h in registers, once for every instruction set that has them (the scalar one is
 * the definition and stands apart). The including file defines VECTOR_REGISTER and its functions in its
 * vector_*.h, and
 *   - GEMM_ROWS: rows of the largest tile, a literal;
 *   - GEMM_REGISTERS(rows): registers of a panel that a tile of so many rows takes at once; its accumulators,
 *     rows times registers, and their operands must fit. No more for more rows;
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

/* `rows` rows by `registers` registers of a panel; w and sums start with the first of its columns. */
INNERMOST_INLINE void gemm_f32_tile(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                                    size_t registers, float (*sums)[KERNEL_PANEL],
                                    const struct gemm_prefetch *prefetch) {
    VECTOR_REGISTER sum[GEMM_ROWS][PANEL_REGISTERS];
    const bool prefetches = GEMM_PREFETCHES && prefetch->period;
    const size_t period = prefetches ? prefetch->period : k;
    uintptr_t line = prefetch->line;
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) sum[r][v] = register_load(sums[r] + v * REGISTER_LANES);
    }
    for (size_t i = 0, end; i < k; line += prefetch->step) {
        if (prefetches) gemm_prefetch_lines(line, prefetch);
        for (end = k - i < period ? k : i + period; i < end; i++, w += KERNEL_PANEL)
            gemm_f32_step(x + i, stride, rows, w, registers, sum);
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) register_store(sums[r] + v * REGISTER_LANES, sum[r][v]);
    }
}

static size_t gemm_f32_width(size_t rows, bool strip) {
    (void)rows;
    const size_t registers = GEMM_REGISTERS(rows);
    return (strip ? strip_registers(registers) : registers) * REGISTER_LANES;
}

/* The columns are as many as suit the tallest tile of a block of rows, which has at most one row more than this. */
INNERMOST_INLINE void gemm_f32_columns(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                                       size_t width, float (*sums)[KERNEL_PANEL],
                                       const struct gemm_prefetch *prefetch) {
    const size_t alone = GEMM_REGISTERS(rows), beside_taller = GEMM_REGISTERS(rows + 1),
                 of_strip = strip_registers(alone);
    if (alone == of_strip || width == alone * REGISTER_LANES)
        gemm_f32_tile(x, stride, rows, w, k, alone, sums, prefetch);
    else if (beside_taller != of_strip && width == beside_taller * REGISTER_LANES)
        gemm_f32_tile(x, stride, rows, w, k, beside_taller, sums, prefetch);
    else
        gemm_f32_tile(x, stride, rows, w, k, of_strip, sums, prefetch);
}

#define GEMM_F32_CALL(n) gemm_f32_columns(x, stride, n, w, k, width, sums, prefetch)
static void gemm_f32_microkernel(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                                 size_t width, float (*sums)[KERNEL_PANEL],
                                 const struct gemm_prefetch *prefetch) {
    ROW_SWITCH(GEMM_ROWS, rows, GEMM_F32_CALL)
}
