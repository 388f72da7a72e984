/* GEMMs of low-precision weights, once for every instruction set (see vector_scalar.h) but for the
 * microkernel. The contract stands in kernel.h, the form of activations in convert.h. */
#pragma once

#include <math.h>
#include <string.h>

#include "engine/kernel/template/announce.h"
#include "engine/kernel/template/convert.h"
#include "engine/kernel/template/epilogue.h"
#include "engine/kernel/template/prefetch.h"

/* A panel is processed in parts of k that stay in the second-level cache while rows pass; sums are stored
 * between parts, which changes no bit. So many rows pass together; the block of rows that follows finds the
 * panel in a cache. */
#define LOWP_PART_BYTES ((size_t)96 << 10) /* of weights, at most */
#define LOWP_NEAR_ROWS  64                 /* 12 KiB of sums on the stack */
#define LOWP_BLOCK_ROWS 512                /* 96 KiB of sums on the stack */

/* Rows that a single tile takes, with all k at once. More rows are at least two tiles, which prefetch for each other. */
#ifndef LOWP_SINGLE_ROWS
#define LOWP_SINGLE_ROWS(kernel) ((kernel)->tile_rows)
#endif

/* The scale of a row of int4. */
VECTOR_INLINE float lowp_row_scale(const unsigned char *row, size_t padded) {
    float scale;
    memcpy(&scale, row + padded, sizeof scale);
    return scale;
}

/* Sum of all q of a row of int4 (group 0), or of its group - 1. */
VECTOR_INLINE int32_t lowp_row_sum(const unsigned char *row, size_t padded, size_t group) {
    int32_t sum;
    memcpy(&sum, row + padded + sizeof(float) + group * sizeof sum, sizeof sum);
    return sum;
}

/* Of a row of int8: scale of a group, and sum of its q. */
VECTOR_INLINE float lowp_group_scale(const unsigned char *row, size_t padded, size_t group) {
    float scale;
    memcpy(&scale, row + padded + group * sizeof scale, sizeof scale);
    return scale;
}

VECTOR_INLINE int32_t lowp_group_sum(const unsigned char *row, size_t padded, size_t groups, size_t group) {
    int32_t sum;
    memcpy(&sum, row + padded + groups * sizeof(float) + group * sizeof sum, sizeof sum);
    return sum;
}

/* What follows the packed halves of bytes of an int4 panel. */
struct lowp_int4 {
    const int8_t *groups; /* [groups][48][2]: scale, offset */
    const float *scales;  /* [48] */
};

VECTOR_INLINE struct lowp_int4 lowp_int4(const unsigned char *panel, size_t padded) {
    const unsigned char *groups = panel + padded / 2 * KERNEL_PANEL;
    return (struct lowp_int4){
        .groups = (const int8_t *)groups,
        .scales = (const float *)(const void *)(groups + padded / KERNEL_INT4_GROUP * KERNEL_PANEL * 2),
    };
}

/* A part of the k of a panel, by some of its columns. Sums start with the first and are complete with the last. */
struct lowp_part {
    struct panel_columns columns;
    const unsigned char *weights; /* from its first k on */
    const int8_t *groups;         /* of int4: likewise */
    const float *scales;          /* of int8 [groups of the part][48], of int4 [48] */
    size_t group;                 /* of int8: its first */
    /* Its k, multiples of KERNEL_LOWP_K, of int8 of groups; and that of the panel. */
    size_t first, end, padded;
    unsigned char *kept; /* the weights as `first` of a struct lowp_kernel leaves them */
};

VECTOR_INLINE struct lowp_part lowp_part_of(enum weight_type type, const unsigned char *panel, size_t padded,
                                            size_t first, size_t count) {
    struct lowp_part part = {.first = first, .end = first + count, .padded = padded};
    if (type == WEIGHT_TYPE_INT4) {
        const struct lowp_int4 int4 = lowp_int4(panel, padded);
        part.weights = panel + first / 2 * KERNEL_PANEL;
        part.groups = int4.groups + first / KERNEL_INT4_GROUP * KERNEL_PANEL * 2;
        part.scales = int4.scales;
    } else {
        part.weights = panel + first * KERNEL_PANEL * (type == WEIGHT_TYPE_BF16 ? sizeof(uint16_t) : 1);
        part.scales = (const float *)(const void *)(panel + padded * KERNEL_PANEL);
        if (type == WEIGHT_TYPE_INT8 && first > 0) {
            part.group = first / kernel_int8_group_k(padded);
            part.scales += part.group * KERNEL_PANEL;
        }
    }
    return part;
}

/* Adds a part's products to the sums of some rows. Those of int4 are integers until they are complete; then they are
 * floats times the weights' scales. */
typedef void lowp_microkernel_fn(const unsigned char *x, size_t row_bytes, size_t rows,
                                 const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                                 const struct weight_prefetch *prefetch);

/* Weights of a part as another microkernel reads them. */
typedef void lowp_unpack_fn(const struct lowp_part *part, unsigned char *to);

/* How a set multiplies. unpack: NULL, or what fills LOWP_PART_BYTES at most before the rows pass. first: NULL, or what
 * multiplies the first tile of rows and keeps the weights of the part as `microkernel` reads them for the others. Either is
 * worth it for more than few_rows, of strips than few_strip_rows (0: as of panels). */
struct lowp_kernel {
    enum weight_type type;
    lowp_microkernel_fn *microkernel, *first;
    lowp_unpack_fn *unpack;
    size_t tile_rows, part_k; /* part_k: SIZE_MAX for all k at once */
    size_t near_part_k;       /* likewise of up to LOWP_NEAR_ROWS; 0: no other */
    size_t few_rows, few_strip_rows;
    bool prefetches_output; /* of more than LOWP_NEAR_ROWS: of fewer the second-level cache may have it */
};

/* Rows and panel of the output that parts of k add up to. */
struct lowp_block {
    const struct lowp_gemm *m;
    size_t row, rows, panel, row_bytes;
};

VECTOR_INLINE void lowp_block_epilogue(const struct lowp_block *b, enum weight_type type, size_t first,
                                       size_t rows, float (*sums)[KERNEL_PANEL], bool prefetched) {
    const size_t padded = kernel_padded_k(b->m->base.k);
    for (size_t r = first; r < first + rows; r++) {
        const unsigned char *x = b->m->x + (b->row + r) * b->row_bytes;
        const float scale = type == WEIGHT_TYPE_INT4 ? lowp_row_scale(x, padded) : 1.0f;
        epilogue_panel_sums(&b->m->base, b->row + r, b->panel * KERNEL_PANEL, scale, sums[r], !prefetched);
    }
}

/* A part of k by a block of rows, in tiles of nearly the same height; meanwhile the next part, of as many
 * bytes, is prefetched. A single tile prefetches on its own, as does a strip: from `strip` on, or NULL. */
VECTOR_INLINE void lowp_block_part(const struct lowp_block *b, const struct lowp_kernel *kernel,
                                   const struct lowp_part *part, const void *next, const unsigned char *strip,
                                   size_t bytes, float (*sums)[KERNEL_PANEL]) {
    size_t tiles = (b->rows + kernel->tile_rows - 1) / kernel->tile_rows;
    const unsigned char *x = b->m->x + b->row * b->row_bytes;
    const bool whole = kernel_columns_are_all(part->columns);
    if (whole && tiles == 1 && b->rows > LOWP_SINGLE_ROWS(kernel)) tiles = 2;
    struct weight_prefetch prefetch = {0};
    if (whole)
        prefetch = weight_prefetch_of(tiles > 1 ? next : NULL, bytes, tiles);
    else if (strip)
        prefetch = weight_prefetch_of_strip(strip + part->columns.first * 4, bytes);
    const bool complete = part->end == part->padded,
               ahead = complete && kernel->prefetches_output && b->rows > LOWP_NEAR_ROWS;
    for (size_t r = 0, height; r < b->rows; r += height, tiles--) {
        height = (b->rows - r + tiles - 1) / tiles;
        struct output_prefetch output;
        if (ahead) {
            output = output_prefetch_of(&b->m->base, b->row + r, height, b->panel * KERNEL_PANEL,
                                        part->end - part->first);
            prefetch.output = &output;
        }
        lowp_microkernel_fn *multiply = r == 0 && kernel->first ? kernel->first : kernel->microkernel;
        multiply(x + r * b->row_bytes, b->row_bytes, height, part, sums + r, &prefetch);
        weight_prefetch_next_tile(&prefetch);
        if (complete) lowp_block_epilogue(b, kernel->type, r, height, sums, ahead);
    }
}

/* k of the parts of a panel: all of it for a single tile, which reads each weight once; whole groups. */
VECTOR_INLINE size_t lowp_part_k(const struct lowp_kernel *kernel, size_t padded, size_t rows) {
    if (rows <= LOWP_SINGLE_ROWS(kernel) && !kernel->unpack && !kernel->first) return padded;
    const size_t most = rows <= LOWP_NEAR_ROWS && kernel->near_part_k ? kernel->near_part_k : kernel->part_k,
                 parts = padded / most + (padded % most != 0);
    const size_t unit = kernel->type == WEIGHT_TYPE_INT8 ? kernel_int8_group_k(padded) : KERNEL_LOWP_K;
    return ((padded + parts - 1) / parts + unit - 1) / unit * unit;
}

/* All parts of a panel; `after` is read next. first: this block brings the panel from memory. */
VECTOR_INLINE void lowp_block_run(const struct lowp_block *b, const struct lowp_kernel *kernel, bool first,
                                  const void *after, unsigned char *unpacked, float (*sums)[KERNEL_PANEL]) {
    const size_t padded = kernel_padded_k(b->m->base.k), step = lowp_part_k(kernel, padded, b->rows);
    const unsigned char *panel = b->m->panels + b->panel * kernel_panel_bytes(kernel->type, b->m->base.k);
    for (size_t k = 0, count; k < padded; k += count) {
        count = padded - k < step ? padded - k : step;
        struct lowp_part part = lowp_part_of(kernel->type, panel, padded, k, count);
        part.columns = kernel_columns(&b->m->base);
        if (kernel->first) part.kept = unpacked;
        const unsigned char *next = lowp_part_of(kernel->type, panel, padded, k + count, 0).weights;
        const size_t bytes = (size_t)(next - part.weights);
        const bool last = part.end == padded;
        const unsigned char *strip = part.weights;
        if (kernel->unpack) {
            kernel->unpack(&part, unpacked);
            part.weights = unpacked;
            strip = last ? NULL : next; /* that of this part has been read */
        }
        lowp_block_part(b, kernel, &part, last ? after : first ? next : NULL, strip, bytes, sums);
    }
}

/* The loop over panels is outside that over rows: a panel comes from memory once. */
VECTOR_INLINE void lowp_gemm(const struct lowp_gemm *m, const struct lowp_kernel *kernel, size_t row_first,
                             size_t row_count, size_t panel_first, size_t panel_count,
                             unsigned char *unpacked, float (*sums)[KERNEL_PANEL]) {
    const size_t panel_end = panel_first + panel_count,
                 panel_bytes = kernel_panel_bytes(kernel->type, m->base.k);
    announce_lowp_gemm(m, kernel->type, row_first, row_count, panel_first, panel_count);
    for (size_t panel = panel_first; panel < panel_end; panel++) {
        struct lowp_block b = {
            .m = m, .panel = panel, .row = row_first, .row_bytes = kernel_row_bytes(kernel->type, m->base.k)};
        const void *after = panel + 1 < panel_end ? m->panels + (panel + 1) * panel_bytes : m->base.prefetch;
        for (size_t left = row_count; left > 0; left -= b.rows, b.row += b.rows) {
            const size_t blocks = (left + LOWP_BLOCK_ROWS - 1) / LOWP_BLOCK_ROWS;
            b.rows = (left + blocks - 1) / blocks;
            lowp_block_run(&b, kernel, left == row_count, blocks == 1 ? after : NULL, unpacked, sums);
        }
    }
    if (m->base.prefetch && !kernel_columns_are_all(kernel_columns(&m->base)))
        strip_prefetch_first(m->base.prefetch);
}

/* Whether so many rows are worth unpacking or keeping weights for them. */
VECTOR_INLINE bool lowp_prepares(const struct lowp_gemm *m, const struct lowp_kernel *kernel, size_t rows) {
    const bool strip = kernel->few_strip_rows && !kernel_columns_are_all(kernel_columns(&m->base));
    return (kernel->unpack || kernel->first) && rows > (strip ? kernel->few_strip_rows : kernel->few_rows);
}

/* The GEMM of a type (bf16, int8 or int4) for KERNEL_SET, by the struct lowp_kernel `few`, or by `many` for more
 * rows than its few_rows, which unpacks or keeps so many bytes (1: it does not). What needs a large stack stands apart: to
 * touch its pages takes longer than few rows may. */
#define LOWP_DEFINE_GEMM(type, few, many, unpacked_bytes)                                                    \
    static __attribute__((noinline)) void type##_tiles(const struct lowp_gemm *m, size_t row_first,          \
                                                       size_t row_count, size_t panel_first,                 \
                                                       size_t panel_count) {                                 \
        _Alignas(KERNEL_ALIGN) float sums[LOWP_BLOCK_ROWS][KERNEL_PANEL];                                    \
        _Alignas(KERNEL_ALIGN) unsigned char unpacked[unpacked_bytes];                                       \
        lowp_gemm(m, &(many), row_first, row_count, panel_first, panel_count, unpacked, sums);               \
    }                                                                                                        \
    void KERNEL_FUNCTION(gemm_##type)(const struct lowp_gemm *m, size_t row_first, size_t row_count,         \
                                      size_t panel_first, size_t panel_count) {                              \
        _Alignas(KERNEL_ALIGN) float sums[LOWP_NEAR_ROWS][KERNEL_PANEL];                                     \
        if (lowp_prepares(m, &(many), row_count) || row_count > LOWP_NEAR_ROWS)                              \
            type##_tiles(m, row_first, row_count, panel_first, panel_count);                                 \
        else                                                                                                 \
            lowp_gemm(m, &(few), row_first, row_count, panel_first, panel_count, NULL, sums);                \
    }
