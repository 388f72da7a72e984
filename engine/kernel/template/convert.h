/* Activations as GEMMs of low-precision weights read them, once for every instruction set (see
 * vector_scalar.h). The contract stands in kernel.h.
 *
 * A row of bf16 is [k] numbers, in the form that the GEMM of the same set reads; a row of int8 and int4 is
 * int8_t [k], float scale, int32_t sum of all, int32_t sums of each KERNEL_INT4_GROUP. k is the padded one. */
#pragma once

#include <float.h>
#include <math.h>
#include <string.h>

#include "engine/kernel/template/vector_math.h"

/* Columns i .. i + 15 of a row of k, zeros beyond it, times the smoothing scales where there are any. */
VECTOR_INLINE struct vector convert_load(const float *x, const float *smoothing, size_t k, size_t i) {
    size_t lanes = k - i < KERNEL_LANES ? k - i : KERNEL_LANES;
    if (i >= k) return vector_splat(0.0f);
    struct vector v = vector_load_first(x + i, lanes);
    return smoothing ? vector_multiply(v, vector_load_first(smoothing + i, lanes)) : v;
}

/* The largest magnitude; NaN when one of them is not finite. */
VECTOR_INLINE float convert_largest(const float *x, const float *smoothing, size_t k) {
    const struct vector zero = vector_splat(0.0f);
    struct vector largest = zero, poison = zero;
    for (size_t i = 0; i < k; i += KERNEL_LANES) {
        struct vector v = convert_load(x, smoothing, k, i);
        largest = vector_max(vector_max(v, vector_subtract(zero, v)), largest);
        poison = vector_fma(v, zero, poison);
    }
    return vector_largest(largest) + vector_sum(poison);
}

VECTOR_INLINE struct vector convert_flush(struct vector v) {
    struct vector magnitude = vector_max(v, vector_subtract(vector_splat(0.0f), v));
    return vector_select(vector_greater(vector_splat(KERNEL_BF16_MIN), magnitude), vector_splat(0.0f), v);
}

/* One row of int8. */
VECTOR_INLINE void convert_row_int8(const struct activation_rows *rows, const float *x, unsigned char *out) {
    const size_t padded = kernel_padded_k(rows->k);
    const struct vector shift = vector_splat(KERNEL_ROUNDING_SHIFT);
    float largest = convert_largest(x, rows->smoothing, rows->k), inverse = 127.0f / largest,
          scale = largest / 127.0f;
    /* Nothing to scale, or nothing that a scale can tell: q is 0, and a NaN stands in the scale. */
    bool scalable = inverse <= FLT_MAX;
    int32_t total = 0, sum;
    unsigned char *sums = out + padded + sizeof scale + sizeof total;
    for (size_t i = 0; i < padded; i += KERNEL_INT4_GROUP, sums += sizeof sum) {
        struct vector group = vector_splat(0.0f);
        for (size_t half = i; half < i + KERNEL_INT4_GROUP; half += KERNEL_LANES) {
            struct vector v = scalable ? convert_load(x, rows->smoothing, rows->k, half) : vector_splat(0.0f);
            struct vector shifted = vector_fma(v, vector_splat(inverse), shift);
            if (!scalable) shifted = shift;
            vector_store_int8((int8_t *)out + half, shifted);
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

VECTOR_INLINE void convert_rows_int8(const struct activation_rows *rows, size_t row_first, size_t row_count) {
    const size_t bytes = kernel_row_bytes(WEIGHT_TYPE_INT8, rows->k);
    for (size_t r = row_first; r < row_first + row_count; r++)
        convert_row_int8(rows, rows->x + r * rows->x_stride, rows->out + r * bytes);
}

/* store: sixteen numbers to column i of a row, rounded; those that count as 0 are 0 already. */
VECTOR_INLINE void convert_rows_bf16(const struct activation_rows *rows, size_t row_first, size_t row_count,
                                     void (*store)(unsigned char *row, size_t i, struct vector v)) {
    const size_t bytes = kernel_row_bytes(WEIGHT_TYPE_BF16, rows->k), padded = kernel_padded_k(rows->k);
    for (size_t r = row_first; r < row_first + row_count; r++) {
        const float *x = rows->x + r * rows->x_stride;
        for (size_t i = 0; i < padded; i += KERNEL_LANES)
            store(rows->out + r * bytes, i, convert_flush(convert_load(x, rows->smoothing, rows->k, i)));
    }
}
