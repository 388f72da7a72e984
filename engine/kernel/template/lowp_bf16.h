/* GEMM of bf16 weights in registers, once for every instruction set that has them. The including file defines
 * KERNEL_SET, VECTOR_REGISTER and its functions in its vector_*.h, and
 *   - BF16_ROWS: rows of the largest tile, a literal;
 *   - BF16_BLOCK_ROWS: rows that bf16_block() takes, at most;
 *   - BF16_REGISTERS(rows): registers of a panel that a tile of so many rows takes at once;
 *   - BF16_ROW_BYTES: bytes of an activation in a converted row;
 *   - bf16_store(row, i, v): converts sixteen activations, to column i of a row;
 *   - bf16_block(x, row_bytes, rows, w, registers, keep, prefetch, even, odd): the two accumulators of a block of k, of
 *     even and of odd k, of rows x, by `registers` registers of the panel from w on. prefetch is NULL where other rows of
 *     the tile have read these weights;
 *   - BF16_UNPACK, if it pays to arrange the weights once for more than BF16_FEW_ROWS rows: a lowp_unpack_fn, as many
 *     bytes as before, and bf16_unpacked_block(), which reads what it leaves;
 *   - or BF16_KEEPS, if it pays that the first tile of more rows than that keeps the weights, as floats, for the others:
 *     bf16_block() leaves them at `keep` where that is not NULL, the block's first column being there, and
 *     bf16_kept_block() reads them. */
#pragma once

#include "engine/kernel/template/lowp.h"
#include "engine/kernel/template/row_switch.h"
#include "engine/kernel/template/strip.h"

void KERNEL_FUNCTION(convert_bf16)(const struct activation_rows *rows, size_t row_first, size_t row_count) {
    convert_rows_bf16(rows, row_first, row_count, bf16_store);
}

typedef void bf16_block_fn(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                           size_t registers, unsigned char *keep, const struct weight_prefetch *prefetch,
                           VECTOR_REGISTER (*even)[PANEL_REGISTERS], VECTOR_REGISTER (*odd)[PANEL_REGISTERS]);

/* What a tile reads, and whether it keeps it. */
enum bf16_weights { BF16_PACKED, BF16_PACKED_AND_KEPT, BF16_KEPT };
#define BF16_COLUMN_BYTES (2 * sizeof(uint16_t)) /* of a pair as of a float that is kept */
_Static_assert(BF16_COLUMN_BYTES == sizeof(float), "columns of both are as far apart");

/* rows and registers are constants where this is inlined, here and below. */
VECTOR_INLINE void bf16_add_block(bf16_block_fn *block, const unsigned char *x, size_t row_bytes, size_t rows,
                                  const unsigned char *w, size_t column, size_t registers,
                                  unsigned char *keep, const struct weight_prefetch *prefetch,
                                  float (*sums)[KERNEL_PANEL]) {
    VECTOR_REGISTER even[BF16_BLOCK_ROWS][PANEL_REGISTERS], odd[BF16_BLOCK_ROWS][PANEL_REGISTERS];
    block(x, row_bytes, rows, w + column * BF16_COLUMN_BYTES, registers,
          keep ? keep + column * BF16_COLUMN_BYTES : NULL, prefetch, even, odd);
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) {
            float *to = sums[r] + column + v * REGISTER_LANES;
            register_store(to, register_add(register_load(to), register_add(even[r][v], odd[r][v])));
        }
    }
}

/* A block by all rows of the tile, in runs of nearly the same height. */
VECTOR_INLINE void bf16_add_rows(bf16_block_fn *block, const unsigned char *x, size_t row_bytes, size_t rows,
                                 const unsigned char *w, size_t column, size_t registers, unsigned char *keep,
                                 const struct weight_prefetch *prefetch, float (*sums)[KERNEL_PANEL]) {
    const size_t runs = (rows + BF16_BLOCK_ROWS - 1) / BF16_BLOCK_ROWS, height = (rows + runs - 1) / runs;
    KERNEL_EACH (run, runs) {
        const size_t r = run * height;
        bf16_add_block(block, x + r * row_bytes, row_bytes, rows - r < height ? rows - r : height, w, column,
                       registers, run == 0 ? keep : NULL, run == 0 ? prefetch : NULL, sums + r);
    }
}

VECTOR_INLINE void bf16_columns(bf16_block_fn *multiply, enum bf16_weights weights, const unsigned char *x,
                                size_t row_bytes, size_t rows, const struct lowp_part *part,
                                struct panel_columns columns, size_t registers, float (*sums)[KERNEL_PANEL],
                                const struct weight_prefetch *prefetch) {
    const size_t blocks = (part->end - part->first) / KERNEL_BF16_BLOCK,
                 kept_bytes = KERNEL_BF16_BLOCK * KERNEL_PANEL * sizeof(float),
                 bytes = weights == BF16_KEPT ? kept_bytes : kept_bytes / 2;
    const struct weight_prefetch own = weight_prefetch_of_tile(prefetch, rows, BF16_ROWS);
    struct prefetch_pace pace = prefetch_pace_of(&own, blocks, SIZE_MAX, 0, 1);
    const unsigned char *w = weights == BF16_KEPT ? part->kept : part->weights;
    unsigned char *keep = weights == BF16_PACKED_AND_KEPT ? part->kept : NULL;
    if (part->first == 0) memset(sums, 0, rows * sizeof sums[0]);
    x += part->first * BF16_ROW_BYTES;
    for (size_t block = 0, end; block < blocks;) {
        prefetch_burst(&pace, SIZE_MAX);
        for (end = blocks - block < pace.period ? blocks : block + pace.period; block < end; block++) {
            for (size_t column = columns.first; column < columns.end; column += registers * REGISTER_LANES)
                bf16_add_rows(multiply, x, row_bytes, rows, w, column, registers, keep, &own, sums);
            x += KERNEL_BF16_BLOCK * BF16_ROW_BYTES;
            w += bytes;
            if (weights == BF16_PACKED_AND_KEPT) keep += kept_bytes;
        }
    }
}

VECTOR_INLINE void bf16_part(bf16_block_fn *multiply, enum bf16_weights weights, const unsigned char *x,
                             size_t row_bytes, size_t rows, const struct lowp_part *part,
                             float (*sums)[KERNEL_PANEL], const struct weight_prefetch *prefetch) {
    const size_t registers = BF16_REGISTERS(rows);
    if (kernel_columns_are_all(part->columns))
        bf16_columns(multiply, weights, x, row_bytes, rows, part, (struct panel_columns){.end = KERNEL_PANEL},
                     registers, sums, prefetch);
    else
        bf16_columns(multiply, weights, x, row_bytes, rows, part, part->columns, strip_registers(registers),
                     sums, prefetch);
}

#define BF16_CALL(n) bf16_part(bf16_block, BF16_PACKED, x, row_bytes, n, part, sums, prefetch)
static void bf16_microkernel(const unsigned char *x, size_t row_bytes, size_t rows,
                             const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                             const struct weight_prefetch *prefetch) {
    ROW_SWITCH(BF16_ROWS, rows, BF16_CALL)
}

#define BF16_PART_K (LOWP_PART_BYTES / (KERNEL_PANEL * sizeof(uint16_t)))

static const struct lowp_kernel bf16_kernel = {
    .type = WEIGHT_TYPE_BF16, .microkernel = bf16_microkernel, .tile_rows = BF16_ROWS, .part_k = BF16_PART_K};

#ifdef BF16_UNPACK
#define BF16_UNPACKED_CALL(n)                                                                                \
    bf16_part(bf16_unpacked_block, BF16_PACKED, x, row_bytes, n, part, sums, prefetch)
static void bf16_unpacked_microkernel(const unsigned char *x, size_t row_bytes, size_t rows,
                                      const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                                      const struct weight_prefetch *prefetch) {
    ROW_SWITCH(BF16_ROWS, rows, BF16_UNPACKED_CALL)
}

static const struct lowp_kernel bf16_unpacked_kernel = {.type = WEIGHT_TYPE_BF16,
                                                        .microkernel = bf16_unpacked_microkernel,
                                                        .unpack = BF16_UNPACK,
                                                        .tile_rows = BF16_ROWS,
                                                        .part_k = BF16_PART_K,
                                                        .few_rows = BF16_FEW_ROWS};
LOWP_DEFINE_GEMM(bf16, bf16_kernel, bf16_unpacked_kernel, LOWP_PART_BYTES)
#elif defined(BF16_KEEPS)
#define BF16_KEEPING_CALL(n)                                                                                 \
    bf16_part(bf16_block, BF16_PACKED_AND_KEPT, x, row_bytes, n, part, sums, prefetch)
#define BF16_KEPT_CALL(n) bf16_part(bf16_kept_block, BF16_KEPT, x, row_bytes, n, part, sums, prefetch)
static void bf16_keeping_microkernel(const unsigned char *x, size_t row_bytes, size_t rows,
                                     const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                                     const struct weight_prefetch *prefetch) {
    ROW_SWITCH(BF16_ROWS, rows, BF16_KEEPING_CALL)
}
static void bf16_kept_microkernel(const unsigned char *x, size_t row_bytes, size_t rows,
                                  const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                                  const struct weight_prefetch *prefetch) {
    ROW_SWITCH(BF16_ROWS, rows, BF16_KEPT_CALL)
}

static const struct lowp_kernel bf16_keeping_kernel = {.type = WEIGHT_TYPE_BF16,
                                                       .microkernel = bf16_kept_microkernel,
                                                       .first = bf16_keeping_microkernel,
                                                       .tile_rows = BF16_ROWS,
                                                       .part_k = BF16_PART_K,
                                                       .few_rows = BF16_FEW_ROWS};
LOWP_DEFINE_GEMM(bf16, bf16_kernel, bf16_keeping_kernel, BF16_PART_K *KERNEL_PANEL * sizeof(float))
#else
LOWP_DEFINE_GEMM(bf16, bf16_kernel, bf16_kernel, 1)
#endif
