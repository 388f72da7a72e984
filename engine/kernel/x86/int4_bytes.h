/* int4 of many rows by the instructions of int4_pairs.h. The sum of a group is widened by a multiplication by its scale m. A
 * weight is m * (q + 8) + (c - 8 m), where q + 8 is what is stored: the second term is multiplied by the sum of the group's
 * activations, for two groups at once. The including file defines
 *   - INT4_BYTES_ROWS, a literal, and INT4_BYTES_REGISTERS: rows of a tile, and registers of a panel that it takes at once;
 *   - INT4_BYTES_FEW_ROWS: up to so many, unpacking does not pay.
 *
 * Weights are unpacked to bytes. Of two groups of a panel there are, in lines of 48 columns: sixteen of bytes, for four of k
 * each, as int8 has them; two of (m, m), pairs of 16 bits, one of each group; and one of c - 8 m of both. */
#pragma once

#include "engine/kernel/x86/int4_pairs.h"

#include "engine/kernel/template/lowp.h"
#include "engine/kernel/template/row_switch.h"
#include "engine/kernel/template/strip.h"

#define INT4_BYTES_PART_K    512
#define INT4_BYTES_LINE      (KERNEL_PANEL * 4)
#define INT4_BYTES_LINES     (KERNEL_INT4_GROUP / 4)
#define INT4_BYTES_PAIR      ((2 * INT4_BYTES_LINES + 3) * INT4_BYTES_LINE) /* of groups */
#define INT4_BYTES_PAIRS_MAX (INT4_BYTES_PART_K / (2 * KERNEL_INT4_GROUP))

/* The columns of a register, of a group. Returns c - 8 m. */
VECTOR_INLINE INT_REGISTER int4_bytes_unpack(const unsigned char *packed, const int8_t *groups,
                                             unsigned char *lines, unsigned char *scales) {
    KERNEL_EACH (line, INT4_BYTES_LINES / 2) {
        const INT_REGISTER bytes = load_bytes(packed + line * INT4_BYTES_LINE);
        store_bytes(lines + line * INT4_BYTES_LINE, int4_lower(bytes));
        store_bytes(lines + (INT4_BYTES_LINES / 2 + line) * INT4_BYTES_LINE, int4_upper(bytes));
    }
    const struct int4_scales scale = int4_load_scales(groups);
    store_bytes(scales, scale.twice);
    return int_add_pairs(scale.pairs, int_splat(0x0001fff8)); /* (-8, 1) */
}

static void int4_bytes_unpack_part(const struct lowp_part *part, unsigned char *to) {
    const unsigned char *packed = part->weights;
    const int8_t *groups = part->groups;
    for (size_t k = part->first; k < part->end; k += 2 * KERNEL_INT4_GROUP, to += INT4_BYTES_PAIR) {
        for (size_t v = part->columns.first / REGISTER_LANES; v < part->columns.end / REGISTER_LANES; v++) {
            unsigned char *lines = to + v * REGISTER_BYTES,
                          *scales = lines + 2 * INT4_BYTES_LINES * INT4_BYTES_LINE;
            INT_REGISTER rest[2];
            KERNEL_EACH (g, 2)
                rest[g] = int4_bytes_unpack(
                    packed + g * KERNEL_INT4_GROUP / 2 * KERNEL_PANEL + v * REGISTER_BYTES,
                    groups + (g * KERNEL_PANEL + v * REGISTER_LANES) * 2,
                    lines + g * INT4_BYTES_LINES * INT4_BYTES_LINE, scales + g * INT4_BYTES_LINE);
            store_bytes(scales + 2 * INT4_BYTES_LINE, int4_join_pairs(rest[0], rest[1]));
        }
        packed += KERNEL_INT4_GROUP * KERNEL_PANEL, groups += 2 * KERNEL_PANEL * 2;
    }
}

/* Sums of the activations of a part's groups, by two, in 16 bits each. */
struct int4_bytes_sums {
    uint32_t pair[INT4_BYTES_ROWS][INT4_BYTES_PAIRS_MAX];
};

/* x: from the start of the rows. rows is a constant where this is inlined, here and below. */
VECTOR_INLINE void int4_bytes_load_sums(const unsigned char *x, size_t row_bytes, size_t rows,
                                        const struct lowp_part *part, struct int4_bytes_sums *to) {
    const size_t first = part->first / KERNEL_INT4_GROUP,
                 pairs = (part->end - part->first) / (2 * KERNEL_INT4_GROUP);
    KERNEL_EACH (r, rows) {
        for (size_t i = 0; i < pairs; i++) {
            const uint32_t even = (uint32_t)lowp_row_sum(x + r * row_bytes, part->padded, 1 + first + 2 * i);
            const uint32_t odd = (uint32_t)lowp_row_sum(x + r * row_bytes, part->padded, 2 + first + 2 * i);
            to->pair[r][i] = (even & 0xffff) | odd << 16;
        }
    }
}

/* Begins or goes on with the totals of a part: by what all weights of a group have in common. registers is a constant where
 * this is inlined, here and below. */
VECTOR_INLINE void int4_bytes_start(const struct int4_bytes_sums *x, size_t rows,
                                    const struct lowp_part *part, size_t first, size_t registers,
                                    float (*sums)[KERNEL_PANEL]) {
    const unsigned char *rest =
        part->weights + (2 * INT4_BYTES_LINES + 2) * INT4_BYTES_LINE + first * REGISTER_BYTES;
    const size_t pairs = (part->end - part->first) / (2 * KERNEL_INT4_GROUP);
    INT_REGISTER total[INT4_BYTES_ROWS][INT4_BYTES_REGISTERS];
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers)
            total[r][v] = part->first == 0 ? int_splat(0) : int_load(sums[r] + (first + v) * REGISTER_LANES);
    }
    for (size_t i = 0; i < pairs; i++, rest += INT4_BYTES_PAIR) {
        INT_REGISTER weight[INT4_BYTES_REGISTERS];
        KERNEL_EACH (v, registers) weight[v] = load_bytes(rest + v * REGISTER_BYTES);
        KERNEL_EACH (r, rows) {
            const INT_REGISTER pair = int_splat((int32_t)x->pair[r][i]);
            KERNEL_EACH (v, registers) total[r][v] = int_add(total[r][v], int_add_pairs(weight[v], pair));
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) int_keep(total[r][v], sums[r] + (first + v) * REGISTER_LANES);
    }
}

/* Adds a group to the totals. */
VECTOR_INLINE void int4_bytes_group(const unsigned char *x, size_t row_bytes, size_t rows,
                                    const unsigned char *lines, const unsigned char *scales, size_t first,
                                    size_t registers, float (*sums)[KERNEL_PANEL]) {
    INT_REGISTER sum[INT4_BYTES_ROWS][INT4_BYTES_REGISTERS];
    KERNEL_EACH (line, INT4_BYTES_LINES) {
        INT_REGISTER weight[INT4_BYTES_REGISTERS];
        KERNEL_EACH (v, registers)
            weight[v] = load_bytes(lines + line * INT4_BYTES_LINE + v * REGISTER_BYTES);
        KERNEL_EACH (r, rows) {
            const INT_REGISTER q = splat_bytes(x + r * row_bytes + 4 * line);
            KERNEL_EACH (v, registers) int4_add_products(&sum[r][v], weight[v], q, line == 0);
        }
    }
    KERNEL_EACH (v, registers) {
        const INT_REGISTER scale = load_bytes(scales + v * REGISTER_BYTES);
        KERNEL_EACH (r, rows) {
            float *total = sums[r] + (first + v) * REGISTER_LANES;
            int_keep(int_add(int_load(total), int_add_pairs(sum[r][v], scale)), total);
        }
    }
}

VECTOR_INLINE void int4_bytes_tile(const unsigned char *x, size_t row_bytes, size_t rows,
                                   const struct lowp_part *part, const struct int4_bytes_sums *sums_of_x,
                                   size_t first, size_t registers, float (*sums)[KERNEL_PANEL],
                                   const struct weight_prefetch *prefetch) {
    const size_t pairs = (part->end - part->first) / (2 * KERNEL_INT4_GROUP);
    const size_t shares = PANEL_REGISTERS / registers;
    const unsigned char *w = part->weights + first * REGISTER_BYTES;
    struct prefetch_pace pace = prefetch_pace_of(prefetch, pairs, 2, first / registers, shares);
    int4_bytes_start(sums_of_x, rows, part, first, registers, sums);
    x += part->first;
    for (size_t i = 0, end; i < pairs;) {
        prefetch_burst(&pace, 2);
        for (end = pairs - i < pace.period ? pairs : i + pace.period; i < end; i++) {
            for (size_t g = 0; g < 2; g++, x += KERNEL_INT4_GROUP)
                int4_bytes_group(x, row_bytes, rows, w + g * INT4_BYTES_LINES * INT4_BYTES_LINE,
                                 w + (2 * INT4_BYTES_LINES + g) * INT4_BYTES_LINE, first, registers, sums);
            w += INT4_BYTES_PAIR;
        }
    }
    if (part->end < part->padded) return;
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) {
            const size_t column = (first + v) * REGISTER_LANES;
            int_store(int_load(sums[r] + column), part->scales + column, sums[r] + column);
        }
    }
}

VECTOR_INLINE void int4_bytes_columns(const unsigned char *x, size_t row_bytes, size_t rows,
                                      const struct lowp_part *part, const struct int4_bytes_sums *sums_of_x,
                                      struct panel_columns columns, size_t registers,
                                      float (*sums)[KERNEL_PANEL], const struct weight_prefetch *prefetch) {
    for (size_t first = columns.first / REGISTER_LANES; first < columns.end / REGISTER_LANES;
         first += registers)
        int4_bytes_tile(x, row_bytes, rows, part, sums_of_x, first, registers, sums, prefetch);
}

VECTOR_INLINE void int4_bytes_part(const unsigned char *x, size_t row_bytes, size_t rows,
                                   const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                                   const struct weight_prefetch *prefetch) {
    struct int4_bytes_sums sums_of_x;
    int4_bytes_load_sums(x, row_bytes, rows, part, &sums_of_x);
    if (kernel_columns_are_all(part->columns))
        int4_bytes_columns(x, row_bytes, rows, part, &sums_of_x, (struct panel_columns){.end = KERNEL_PANEL},
                           INT4_BYTES_REGISTERS, sums, prefetch);
    else
        int4_bytes_columns(x, row_bytes, rows, part, &sums_of_x, part->columns,
                           strip_registers(INT4_BYTES_REGISTERS), sums, prefetch);
}

#define INT4_BYTES_CALL(n) int4_bytes_part(x, row_bytes, n, part, sums, prefetch)
static void int4_bytes_microkernel(const unsigned char *x, size_t row_bytes, size_t rows,
                                   const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                                   const struct weight_prefetch *prefetch) {
    ROW_SWITCH(INT4_BYTES_ROWS, rows, INT4_BYTES_CALL)
}

static const struct lowp_kernel int4_bytes_kernel = {.type = WEIGHT_TYPE_INT4,
                                                     .microkernel = int4_bytes_microkernel,
                                                     .unpack = int4_bytes_unpack_part,
                                                     .tile_rows = INT4_BYTES_ROWS,
                                                     .part_k = INT4_BYTES_PART_K,
                                                     .few_rows = INT4_BYTES_FEW_ROWS};
#define INT4_MANY       int4_bytes_kernel
#define INT4_MANY_BYTES (INT4_BYTES_PAIRS_MAX * INT4_BYTES_PAIR)
