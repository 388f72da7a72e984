/* Rows and products of weights narrower than f32, once for every instruction set (see vector_scalar.h) but
 * for the innermost tiles. The contract stands in kernel.h.
 *
 * A prepared row of bf16 is [k] numbers, in the form that the tiles of the same table read; a row of int8 and
 * int4 is int8_t [k], float scale, int32_t sum of all, int32_t sums of each KERNEL_INT4_GROUP. k is the
 * padded one. */
#pragma once

#include <float.h>
#include <math.h>
#include <string.h>

#include "engine/kernel/template/epilogue.h"

/* Adding it rounds to an integer, which then stands in the low bits. */
#define NARROW_SHIFT 0x1.8p23f
/* bf16 magnitudes below this count as 0: see kernel.h. */
#define NARROW_SMALLEST 0x1p-56f

VECTOR_INLINE float narrow_scale(const unsigned char *row, size_t padded) {
    float scale;
    memcpy(&scale, row + padded, sizeof scale);
    return scale;
}

/* Sum of all q of a row (group 0), or of its group - 1. */
VECTOR_INLINE int32_t narrow_sum(const unsigned char *row, size_t padded, size_t group) {
    int32_t sum;
    memcpy(&sum, row + padded + sizeof(float) + group * sizeof sum, sizeof sum);
    return sum;
}

/* What follows the halves of bytes of an int4 panel. */
struct narrow_int4 {
    const int8_t *steps; /* [groups][48][2]: m, c */
    const float *scales; /* [48] */
};

VECTOR_INLINE struct narrow_int4 narrow_int4(const unsigned char *panel, size_t padded) {
    const unsigned char *steps = panel + padded / 2 * KERNEL_PANEL;
    return (struct narrow_int4){
        .steps = (const int8_t *)steps,
        .scales = (const float *)(const void *)(steps + padded / KERNEL_INT4_GROUP * KERNEL_PANEL * 2),
    };
}

/* Sixteen factored columns from i on, zeros beyond k. */
VECTOR_INLINE struct vector narrow_load(const struct activation_rows *rows, const float *x, size_t i) {
    size_t lanes = rows->k - i < KERNEL_LANES ? rows->k - i : KERNEL_LANES;
    if (i >= rows->k) return vector_splat(0.0f);
    struct vector v = vector_load_first(x + i, lanes);
    return rows->smoothing ? vector_multiply(v, vector_load_first(rows->smoothing + i, lanes)) : v;
}

/* The largest |x|; NaN when one of them is not finite. */
VECTOR_INLINE float narrow_largest(const struct activation_rows *rows, const float *x) {
    const struct vector zero = vector_splat(0.0f);
    struct vector largest = zero, poison = zero;
    for (size_t i = 0; i < rows->k; i += KERNEL_LANES) {
        struct vector v = narrow_load(rows, x, i);
        largest = vector_max(vector_max(v, vector_subtract(zero, v)), largest);
        poison = vector_fma(v, zero, poison);
    }
    return vector_largest(largest) + vector_sum(poison);
}

VECTOR_INLINE struct vector narrow_flush(struct vector v) {
    struct vector magnitude = vector_max(v, vector_subtract(vector_splat(0.0f), v));
    return vector_select(vector_greater(vector_splat(NARROW_SMALLEST), magnitude), vector_splat(0.0f), v);
}

/* One row of int8. store: the low byte of each of sixteen shifted numbers. */
VECTOR_INLINE void narrow_quantize_row(const struct activation_rows *rows, const float *x, unsigned char *out,
                                       void (*store)(unsigned char *to, struct vector shifted)) {
    const size_t padded = kernel_padded_k(rows->k);
    const struct vector shift = vector_splat(NARROW_SHIFT);
    float largest = narrow_largest(rows, x), inverse = 127.0f / largest, scale = largest / 127.0f;
    /* Nothing to scale, or nothing that a scale can tell: q is 0, and a NaN stands in the scale. */
    bool scalable = inverse <= FLT_MAX;
    int32_t total = 0, sum;
    unsigned char *sums = out + padded + sizeof scale + sizeof total;
    for (size_t i = 0; i < padded; i += KERNEL_INT4_GROUP, sums += sizeof sum) {
        struct vector group = vector_splat(0.0f);
        for (size_t half = i; half < i + KERNEL_INT4_GROUP; half += KERNEL_LANES) {
            struct vector v = scalable ? narrow_load(rows, x, half) : vector_splat(0.0f);
            struct vector shifted = vector_fma(v, vector_splat(inverse), shift);
            if (!scalable) shifted = shift;
            store(out + half, shifted);
            group = vector_add(group, vector_subtract(shifted, shift));
        }
        sum = (int32_t)vector_sum(group);
        memcpy(sums, &sum, sizeof sum);
        total += sum;
    }
    if (!scalable && largest == largest) scale = 0.0f;
    memcpy(out + padded, &scale, sizeof scale);
    memcpy(out + padded + sizeof scale, &total, sizeof total);
}

VECTOR_INLINE void narrow_quantize(const struct activation_rows *rows, size_t row_first, size_t row_count,
                                   void (*store)(unsigned char *to, struct vector shifted)) {
    const size_t bytes = kernel_row_bytes(WEIGHT_TYPE_INT8, rows->k);
    for (size_t r = row_first; r < row_first + row_count; r++)
        narrow_quantize_row(rows, rows->x + r * rows->x_stride, rows->out + r * bytes, store);
}

/* store: sixteen flushed numbers, rounded, to column i of a row. */
VECTOR_INLINE void narrow_round(const struct activation_rows *rows, size_t row_first, size_t row_count,
                                void (*store)(unsigned char *row, size_t i, struct vector v)) {
    const size_t bytes = kernel_row_bytes(WEIGHT_TYPE_BF16, rows->k), padded = kernel_padded_k(rows->k);
    for (size_t r = row_first; r < row_first + row_count; r++)
        for (size_t i = 0; i < padded; i += KERNEL_LANES)
            store(rows->out + r * bytes, i, narrow_flush(narrow_load(rows, rows->x + r * rows->x_stride, i)));
}

/* All sums of up to tile_rows rows by one panel, weight scales included. */
typedef void narrow_tile_fn(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                            size_t padded, float (*sums)[KERNEL_PANEL]);

/* Up to sixteen sums of a row, weight scales included, from column n on. */
VECTOR_INLINE void narrow_finish(const struct lowp_gemm *m, size_t row, size_t n, float scale,
                                 struct vector sums) {
    const size_t lanes = m->base.n - n < KERNEL_LANES ? m->base.n - n : KERNEL_LANES;
    product_finish_lanes(&m->base, row, n, lanes, vector_multiply(sums, vector_splat(scale)));
}

VECTOR_INLINE void narrow_finish_row(const struct lowp_gemm *m, size_t row, size_t panel, float scale,
                                     const float *sums) {
    const size_t first = panel * KERNEL_PANEL;
    for (size_t c = 0; c < KERNEL_PANEL && first + c < m->base.n; c += KERNEL_LANES)
        narrow_finish(m, row, first + c, scale, vector_load(sums + c));
}

/* Panels outside, rows inside: a panel comes from memory once, and from a cache after. */
VECTOR_INLINE void narrow_tiles(const struct lowp_gemm *m, enum weight_type type, size_t row_first,
                                size_t row_count, size_t panel_first, size_t panel_count,
                                narrow_tile_fn *tile, size_t tile_rows) {
    const size_t row_bytes = kernel_row_bytes(type, m->base.k), padded = kernel_padded_k(m->base.k);
    const size_t panel_bytes = kernel_panel_bytes(type, m->base.k), row_end = row_first + row_count;
    for (size_t panel = panel_first; panel < panel_first + panel_count; panel++)
        for (size_t row = row_first, rows; row < row_end; row += rows) {
            _Alignas(KERNEL_ALIGN) float sums[NARROW_ROWS][KERNEL_PANEL];
            const unsigned char *x = m->x + row * row_bytes;
            rows = row_end - row < tile_rows ? row_end - row : tile_rows;
            tile(x, row_bytes, rows, m->panels + panel * panel_bytes, padded, sums);
            for (size_t r = 0; r < rows; r++) {
                float scale = type == WEIGHT_TYPE_BF16 ? 1.0f : narrow_scale(x + r * row_bytes, padded);
                narrow_finish_row(m, row + r, panel, scale, sums[r]);
            }
        }
}

#define NARROW_DEFINE(name, type, tile, tile_rows)                                                           \
    void name(const struct lowp_gemm *m, size_t row_first, size_t row_count, size_t panel_first,             \
              size_t panel_count) {                                                                          \
        narrow_tiles(m, type, row_first, row_count, panel_first, panel_count, tile, tile_rows);              \
    }
