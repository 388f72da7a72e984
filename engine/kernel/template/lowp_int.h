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
 *   - int_load(sums), int_keep(sum, sums): sums that go on, integers in the bits of floats;
 *   - int_store(sum, scales, sums): sums as floats, times the scales of the weights;
 *   - int_add_scaled(sum, scales, scale, starts, sums): sums += those, times scale, fused; from 0 where it starts;
 *   - int8_step(x, row_bytes, rows, w, registers, sum): adds INT8_STEP products to each sum;
 *   - INT4_COMPENSATION: 8, or 0 where int4_add_group() takes the 8 away itself;
 *   - int4_group(x, row_bytes, rows, w, registers, sum): adds the products of a group, of weights with 8
 *     added, to each sum; with an INT4_COMPENSATION of 0, where sums start at 0, it may leave them in any form
 *     that int4_add_group() takes;
 *   - INT4_PREFETCHES_ALONE, if a row that is alone prefetches its weights from memory here, a group at a time, and not in
 *     int4_group(): true;
 *   - INT8_MANY, INT4_MANY: where more rows than their few_rows are multiplied in another way, a struct
 *     lowp_kernel; and INT8_MANY_BYTES, INT4_MANY_BYTES, which it unpacks at most;
 *   - INT4_UNPACK, if it pays to unpack int4 for several tiles: a lowp_unpack_fn to the bytes of a part of int8;
 *   - struct int4_scales, int4_load_scales(groups): scales and offsets of the groups of a register's columns;
 *   - int4_add_group(total, sum, scales, sum_of_x): total + scale * sum + offset * sum_of_x, where sum and
 *     sum_of_x fit into 16 bits. */
#pragma once

#include "engine/kernel/template/lowp.h"
#include "engine/kernel/template/row_switch.h"
#include "engine/kernel/template/strip.h"

#ifndef INT4_PREFETCHES_ALONE
#define INT4_PREFETCHES_ALONE false
#endif

VECTOR_INLINE void int_load_sums(const float (*sums)[KERNEL_PANEL], size_t rows, size_t first,
                                 size_t registers, INT_REGISTER (*sum)[PANEL_REGISTERS]) {
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) sum[r][v] = int_load(sums[r] + (first + v) * REGISTER_LANES);
    }
}

VECTOR_INLINE void int_store_sums(INT_REGISTER (*sum)[PANEL_REGISTERS], size_t rows, size_t first,
                                  size_t registers, const struct lowp_part *part,
                                  float (*sums)[KERNEL_PANEL]) {
    const bool complete = part->end == part->padded;
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) {
            const size_t column = (first + v) * REGISTER_LANES;
            if (complete)
                int_store(sum[r][v], part->scales + column, sums[r] + column);
            else
                int_keep(sum[r][v], sums[r] + column);
        }
    }
}

/* Whether a tile prefetches what it writes: a large one that takes all columns at once. Both numbers are constants. */
VECTOR_INLINE bool int8_prefetches_output(size_t rows, size_t registers) {
    return 2 * rows > INT8_ROWS && registers == PANEL_REGISTERS;
}

/* Adds the products of so many steps of k: `rows` rows by `registers` registers of a panel; both numbers are constants
 * where this is inlined, here and below. */
VECTOR_INLINE void int8_steps(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              size_t registers, size_t steps, INT_REGISTER (*sum)[PANEL_REGISTERS],
                              const struct weight_prefetch *prefetch, struct prefetch_pace *pace) {
    for (size_t i = 0, end; i < steps;) {
        prefetch_burst(pace, 1);
        end = steps - i < pace->period ? steps : i + pace->period;
        while (i < end) {
            const size_t most = int8_prefetches_output(rows, registers)
                                    ? output_prefetch_row(prefetch->output) / INT8_STEP
                                    : SIZE_MAX;
            for (const size_t stop = end - i < most ? end : i + most; i < stop; i++) {
                weight_prefetch_alone(prefetch, w, INT8_STEP * registers * REGISTER_LANES);
                int8_step(x, row_bytes, rows, w, registers, sum);
                x += INT8_STEP, w += INT8_STEP * KERNEL_PANEL;
            }
        }
    }
}

/* A group of a row of activations. */
struct int8_group {
    size_t index, groups;
    const float *weight_scales; /* [48] */
};

VECTOR_INLINE void int8_start_group(const unsigned char *x, size_t row_bytes, size_t rows, size_t padded,
                                    struct int8_group group, size_t registers,
                                    INT_REGISTER (*sum)[PANEL_REGISTERS]) {
    KERNEL_EACH (r, rows) {
        const int32_t sum_of_x =
            INT8_COMPENSATION ? lowp_group_sum(x + r * row_bytes, padded, group.groups, group.index) : 0;
        const INT_REGISTER start = int_splat(-INT8_COMPENSATION * sum_of_x);
        KERNEL_EACH (v, registers) sum[r][v] = start;
    }
}

VECTOR_INLINE void int8_end_group(const unsigned char *x, size_t row_bytes, size_t rows, size_t padded,
                                  struct int8_group group, size_t first, size_t registers,
                                  INT_REGISTER (*sum)[PANEL_REGISTERS], float (*sums)[KERNEL_PANEL]) {
    KERNEL_EACH (r, rows) {
        const float scale = lowp_group_scale(x + r * row_bytes, padded, group.index);
        KERNEL_EACH (v, registers) {
            const size_t column = (first + v) * REGISTER_LANES;
            int_add_scaled(sum[r][v], group.weight_scales + column, scale, group.index == 0,
                           sums[r] + column);
        }
    }
}

/* A part of k, by registers of a panel from the first on. x: from the start of the rows. */
VECTOR_INLINE void int8_tile(const unsigned char *x, size_t row_bytes, size_t rows,
                             const struct lowp_part *part, size_t first, size_t registers,
                             float (*sums)[KERNEL_PANEL], const struct weight_prefetch *prefetch) {
    INT_REGISTER sum[INT8_ROWS][PANEL_REGISTERS];
    const struct weight_prefetch own = weight_prefetch_of_tile(prefetch, rows, INT8_ROWS);
    const size_t group_k = kernel_int8_group_k(part->padded), shares = PANEL_REGISTERS / registers;
    const unsigned char *w = part->weights + first * REGISTER_BYTES;
    struct prefetch_pace pace =
        prefetch_pace_of(prefetch, (part->end - part->first) / INT8_STEP, 1, first / registers, shares);
    struct int8_group group = {
        .index = part->group, .groups = kernel_int8_groups(part->padded), .weight_scales = part->scales};
    for (size_t k = part->first, count; k < part->end; k += count) {
        count = part->end - k < group_k ? part->end - k : group_k;
        /* They lie behind the panel's weights, which are read later. */
        prefetch_near(group.weight_scales + first * REGISTER_LANES, registers * REGISTER_BYTES);
        int8_start_group(x, row_bytes, rows, part->padded, group, registers, sum);
        int8_steps(x + k, row_bytes, rows, w, registers, count / INT8_STEP, sum, &own, &pace);
        int8_end_group(x, row_bytes, rows, part->padded, group, first, registers, sum, sums);
        w += count * KERNEL_PANEL;
        group.index++, group.weight_scales += KERNEL_PANEL;
    }
}

/* Groups of a row by registers of a panel; part: from the first of them on. */
VECTOR_INLINE void int8_groups_columns(const unsigned char *x, const struct lowp_part *part, size_t first,
                                       size_t registers, const struct weight_prefetch *prefetch,
                                       float *products) {
    INT_REGISTER sum[1][PANEL_REGISTERS];
    const size_t group_k = kernel_int8_group_k(part->padded);
    const unsigned char *w = part->weights + first * REGISTER_BYTES;
    struct prefetch_pace pace = prefetch_pace_of(prefetch, SIZE_MAX, 1, 0, 1);
    struct int8_group group = {
        .index = part->group, .groups = kernel_int8_groups(part->padded), .weight_scales = part->scales};
    for (size_t k = part->first, count; k < part->end; k += count, products += KERNEL_PANEL) {
        count = part->end - k < group_k ? part->end - k : group_k;
        int8_start_group(x, 0, 1, part->padded, group, registers, sum);
        int8_steps(x + k, 0, 1, w, registers, count / INT8_STEP, sum, prefetch, &pace);
        KERNEL_EACH (v, registers) {
            const size_t column = (first + v) * REGISTER_LANES;
            int_store(sum[0][v], group.weight_scales + column, products + column);
        }
        w += count * KERNEL_PANEL;
        group.index++, group.weight_scales += KERNEL_PANEL;
    }
}

void KERNEL_FUNCTION(gemm_int8_groups)(const struct lowp_gemm *m, size_t row, size_t panel, size_t first,
                                       size_t end, float *products) {
    const size_t k = m->base.k, padded = kernel_padded_k(k), group_k = kernel_int8_group_k(padded),
                 from = first * group_k, to = end * group_k < padded ? end * group_k : padded;
    const struct lowp_part part =
        lowp_part_of(WEIGHT_TYPE_INT8, m->panels + panel * kernel_panel_bytes(WEIGHT_TYPE_INT8, k), padded,
                     from, to - from);
    const struct weight_prefetch prefetch = weight_prefetch_of(NULL, 0, 1);
    announce_int8_groups(m, row, panel, end - first, products);
    for (size_t i = 0; i < PANEL_REGISTERS; i += INT8_REGISTERS(1))
        int8_groups_columns(m->x + row * kernel_row_bytes(WEIGHT_TYPE_INT8, k), &part, i, INT8_REGISTERS(1),
                            &prefetch, products);
    if (m->base.prefetch) strip_prefetch_first(m->base.prefetch);
}

#ifdef INT4_UNPACK
/* A part of int4 that has been unpacked: one sum over all k. */
VECTOR_INLINE void int4_unpacked_tile(const unsigned char *x, size_t row_bytes, size_t rows,
                                      const struct lowp_part *part, size_t first, size_t registers,
                                      float (*sums)[KERNEL_PANEL], const struct weight_prefetch *prefetch) {
    INT_REGISTER sum[INT8_ROWS][PANEL_REGISTERS];
    const size_t steps = (part->end - part->first) / INT8_STEP, shares = PANEL_REGISTERS / registers;
    struct prefetch_pace pace = prefetch_pace_of(prefetch, steps, 1, first / registers, shares);
    if (part->first == 0) {
        KERNEL_EACH (r, rows) {
            const INT_REGISTER start =
                int_splat(-INT8_COMPENSATION * lowp_row_sum(x + r * row_bytes, part->padded, 0));
            KERNEL_EACH (v, registers) sum[r][v] = start;
        }
    } else {
        int_load_sums((const float(*)[KERNEL_PANEL])sums, rows, first, registers, sum);
    }
    int8_steps(x + part->first, row_bytes, rows, part->weights + first * REGISTER_BYTES, registers, steps,
               sum, prefetch, &pace);
    int_store_sums(sum, rows, first, registers, part, sums);
}
#endif

#define INT4_GROUP_BYTES (KERNEL_INT4_GROUP / 2 * KERNEL_PANEL) /* of weights of a panel */

/* The sums over group g of a part, and their share of the totals. w: the group's weights of the first register. */
VECTOR_INLINE void int4_step(const unsigned char *x, size_t row_bytes, size_t rows,
                             const struct lowp_part *part, size_t g, const unsigned char *w, size_t first,
                             size_t registers, INT_REGISTER (*total)[PANEL_REGISTERS]) {
    INT_REGISTER sum[INT4_ROWS][PANEL_REGISTERS];
    const size_t at = part->first / KERNEL_INT4_GROUP + g;
    const int8_t *groups = part->groups + (g * KERNEL_PANEL + first * REGISTER_LANES) * 2;
    KERNEL_EACH (r, rows) {
        const INT_REGISTER start =
            int_splat(-INT4_COMPENSATION * lowp_row_sum(x + r * row_bytes, part->padded, 1 + at));
        KERNEL_EACH (v, registers) sum[r][v] = start;
    }
    int4_group(x + at * KERNEL_INT4_GROUP, row_bytes, rows, w, registers, sum);
    KERNEL_EACH (v, registers) {
        const struct int4_scales scales = int4_load_scales(groups + v * REGISTER_LANES * 2);
        KERNEL_EACH (r, rows)
            int4_add_group(&total[r][v], sum[r][v], scales,
                           lowp_row_sum(x + r * row_bytes, part->padded, 1 + at));
    }
}

VECTOR_INLINE void int4_tile(const unsigned char *x, size_t row_bytes, size_t rows,
                             const struct lowp_part *part, size_t first, size_t registers,
                             float (*sums)[KERNEL_PANEL], const struct weight_prefetch *prefetch) {
    INT_REGISTER total[INT4_ROWS][PANEL_REGISTERS];
    const size_t count = (part->end - part->first) / KERNEL_INT4_GROUP;
    const size_t shares = PANEL_REGISTERS / registers;
    const unsigned char *w = part->weights + first * REGISTER_BYTES;
    struct prefetch_pace pace = prefetch_pace_of(prefetch, count, 1, first / registers, shares);
    if (part->first == 0) {
        KERNEL_EACH (r, rows) {
            KERNEL_EACH (v, registers) total[r][v] = int_splat(0);
        }
    } else {
        int_load_sums((const float(*)[KERNEL_PANEL])sums, rows, first, registers, total);
    }
    for (size_t g = 0, end; g < count;) {
        prefetch_burst(&pace, 1);
        for (end = count - g < pace.period ? count : g + pace.period; g < end; g++) {
            if (INT4_PREFETCHES_ALONE && shares == 1) weight_prefetch_alone(prefetch, w, INT4_GROUP_BYTES);
            int4_step(x, row_bytes, rows, part, g, w, first, registers, total);
            w += INT4_GROUP_BYTES;
        }
    }
    int_store_sums(total, rows, first, registers, part, sums);
}

/* A part of k by `registers` registers of a panel from the first on, as int8_tile(). */
typedef void int_tile_fn(const unsigned char *x, size_t row_bytes, size_t rows, const struct lowp_part *part,
                         size_t first, size_t registers, float (*sums)[KERNEL_PANEL],
                         const struct weight_prefetch *prefetch);

VECTOR_INLINE void int_columns(int_tile_fn *tile, const unsigned char *x, size_t row_bytes, size_t rows,
                               const struct lowp_part *part, struct panel_columns columns, size_t registers,
                               float (*sums)[KERNEL_PANEL], const struct weight_prefetch *prefetch) {
    for (size_t first = columns.first / REGISTER_LANES; first < columns.end / REGISTER_LANES;
         first += registers)
        tile(x, row_bytes, rows, part, first, registers, sums, prefetch);
}

/* By all columns of a panel, so many registers at once, or by a strip. */
VECTOR_INLINE void int_part(int_tile_fn *tile, const unsigned char *x, size_t row_bytes, size_t rows,
                            const struct lowp_part *part, size_t registers, float (*sums)[KERNEL_PANEL],
                            const struct weight_prefetch *prefetch) {
    if (kernel_columns_are_all(part->columns))
        int_columns(tile, x, row_bytes, rows, part, (struct panel_columns){.end = KERNEL_PANEL}, registers,
                    sums, prefetch);
    else
        int_columns(tile, x, row_bytes, rows, part, part->columns, strip_registers(registers), sums,
                    prefetch);
}

#define INT8_CALL(n) int_part(int8_tile, x, row_bytes, n, part, INT8_REGISTERS(n), sums, prefetch)
static void int8_microkernel(const unsigned char *x, size_t row_bytes, size_t rows,
                             const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                             const struct weight_prefetch *prefetch) {
    ROW_SWITCH(INT8_ROWS, rows, INT8_CALL)
}

#define INT4_CALL(n) int_part(int4_tile, x, row_bytes, n, part, INT4_REGISTERS(n), sums, prefetch)
static void int4_microkernel(const unsigned char *x, size_t row_bytes, size_t rows,
                             const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                             const struct weight_prefetch *prefetch) {
    ROW_SWITCH(INT4_ROWS, rows, INT4_CALL)
}

#ifdef INT4_UNPACK
#define INT4_UNPACKED_CALL(n)                                                                                \
    int_part(int4_unpacked_tile, x, row_bytes, n, part, INT8_REGISTERS(n), sums, prefetch)
static void int4_unpacked_microkernel(const unsigned char *x, size_t row_bytes, size_t rows,
                                      const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                                      const struct weight_prefetch *prefetch) {
    ROW_SWITCH(INT8_ROWS, rows, INT4_UNPACKED_CALL)
}
#endif

#define INT8_PREFETCHES_OUTPUT (INT8_REGISTERS(INT8_ROWS) == PANEL_REGISTERS)
#define INT_PART_K             (LOWP_PART_BYTES / KERNEL_PANEL)
/* Of int4, unpacked, for few rows: 12 KiB stay in the first-level cache. A tile then begins anew more often than many rows
 * win by that. */
#define INT4_NEAR_PART_K 256

static const struct lowp_kernel int8_kernel = {.type = WEIGHT_TYPE_INT8,
                                               .microkernel = int8_microkernel,
                                               .tile_rows = INT8_ROWS,
                                               .part_k = INT_PART_K,
                                               .prefetches_output = INT8_PREFETCHES_OUTPUT};
static const struct lowp_kernel int4_kernel = {
    .type = WEIGHT_TYPE_INT4, .microkernel = int4_microkernel, .tile_rows = INT4_ROWS, .part_k = INT_PART_K};
#ifdef INT8_MANY
LOWP_DEFINE_GEMM(int8, int8_kernel, INT8_MANY, INT8_MANY_BYTES)
#else
LOWP_DEFINE_GEMM(int8, int8_kernel, int8_kernel, 1)
#endif
#ifdef INT4_UNPACK
static const struct lowp_kernel int4_unpacked_kernel = {.type = WEIGHT_TYPE_INT4,
                                                        .microkernel = int4_unpacked_microkernel,
                                                        .unpack = INT4_UNPACK,
                                                        .tile_rows = INT8_ROWS,
                                                        .prefetches_output = INT8_PREFETCHES_OUTPUT,
                                                        .part_k = INT_PART_K,
                                                        .near_part_k = INT4_NEAR_PART_K,
                                                        .few_rows = INT4_ROWS,
                                                        .few_strip_rows = 2 * INT4_ROWS};
LOWP_DEFINE_GEMM(int4, int4_kernel, int4_unpacked_kernel, LOWP_PART_BYTES)
#elif defined(INT4_MANY)
LOWP_DEFINE_GEMM(int4, int4_kernel, INT4_MANY, INT4_MANY_BYTES)
#else
LOWP_DEFINE_GEMM(int4, int4_kernel, int4_kernel, 1)
#endif
