/* Activations as GEMMs of low-precision weights read them, once for every instruction set (see
 * vector_scalar.h). The contract stands in kernel.h.
 *
 * A row of bf16 is [k] numbers, in the form that the GEMM of the same set reads; one of int8 is int8_t [k], float scales
 * and int32_t sums of its groups; one of int4 is int8_t [k], float scale, int32_t sum of all, int32_t sums of each
 * KERNEL_INT4_GROUP. k is the padded one.
 */
#pragma once

#include <float.h>
#include <math.h>
#include <string.h>

#include "engine/kernel/template/announce.h"
#include "engine/kernel/template/vector_math.h"

/* Columns i .. i + 15 of a row of k, zeros beyond it, times the smoothing scales where there are any. */
VECTOR_INLINE struct vector convert_load(const float *x, const float *smoothing, size_t k, size_t i) {
    size_t lanes = k - i < KERNEL_LANES ? k - i : KERNEL_LANES;
    if (i >= k) return vector_splat(0.0f);
    struct vector v = vector_load_first(x + i, lanes);
    return smoothing ? vector_multiply(v, vector_load_first(smoothing + i, lanes)) : v;
}

/* The largest magnitude of columns [first, end); NaN when one of them is not finite. */
VECTOR_INLINE float convert_largest(const float *x, const float *smoothing, size_t k, size_t first,
                                    size_t end) {
    const struct vector zero = vector_splat(0.0f);
    struct vector largest = zero, poison = zero;
    for (size_t i = first; i < end && i < k; i += KERNEL_LANES) {
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

/* How columns with this largest magnitude become integers. Where there is nothing to scale, or nothing that a scale can
 * tell, q is 0, and a NaN stands in the scale. */
struct quantization {
    float inverse, scale;
    bool scalable;
};

VECTOR_INLINE struct quantization quantization_of(float largest) {
    struct quantization q = {.inverse = 127.0f / largest, .scale = largest / 127.0f};
    q.scalable = q.inverse <= FLT_MAX;
    if (!q.scalable && largest == largest) q.scale = 0.0f;
    return q;
}

/* Columns [first, end) as integers; the sum of those. */
VECTOR_INLINE int32_t convert_columns(const struct activation_rows *rows, const float *x, size_t first,
                                      size_t end, struct quantization q, int8_t *out) {
    const struct vector shift = vector_splat(KERNEL_ROUNDING_SHIFT);
    struct vector sums = vector_splat(0.0f);
    for (size_t i = first; i < end; i += KERNEL_LANES) {
        struct vector shifted = shift;
        if (q.scalable)
            shifted =
                vector_fma(convert_load(x, rows->smoothing, rows->k, i), vector_splat(q.inverse), shift);
        vector_store_int8(out + i, shifted);
        sums = vector_add(sums, vector_subtract(shifted, shift));
    }
    return (int32_t)vector_sum(sums);
}

/* Behind the last column that is converted: that of the padded row where it is the row's. */
VECTOR_INLINE size_t convert_end(const struct activation_rows *rows) {
    return rows->end == 0 || rows->end == rows->k ? kernel_padded_k(rows->k) : rows->end;
}

/* The largest of all groups first, which stand where the scales go: a group's columns wait for its largest, and would wait for
 * each in turn. */
VECTOR_INLINE void convert_row_int8(const struct activation_rows *rows, const float *x, unsigned char *out) {
    const size_t padded = kernel_padded_k(rows->k), group = kernel_int8_group_k(rows->k),
                 last = convert_end(rows), bytes = kernel_int8_groups(rows->k) * sizeof(float);
    unsigned char *scale = out + padded + rows->first / group * sizeof(float);
    for (size_t i = rows->first, g = 0; i < last; i += group, g += sizeof(float)) {
        const size_t end = last - i < group ? last : i + group;
        const float largest = convert_largest(x, rows->smoothing, rows->k, i, end);
        memcpy(scale + g, &largest, sizeof largest);
    }
    for (size_t i = rows->first; i < last; i += group, scale += sizeof(float)) {
        const size_t end = last - i < group ? last : i + group;
        float largest;
        memcpy(&largest, scale, sizeof largest);
        const struct quantization q = quantization_of(largest);
        const int32_t sum = convert_columns(rows, x, i, end, q, (int8_t *)out);
        memcpy(scale, &q.scale, sizeof q.scale);
        memcpy(scale + bytes, &sum, sizeof sum);
    }
}

VECTOR_INLINE void convert_row_int4(const struct activation_rows *rows, const float *x, unsigned char *out) {
    const size_t padded = kernel_padded_k(rows->k);
    const struct quantization q = quantization_of(convert_largest(x, rows->smoothing, rows->k, 0, padded));
    unsigned char *sums = out + padded + sizeof q.scale + sizeof(int32_t);
    int32_t total = 0;
    for (size_t i = 0; i < padded; i += KERNEL_INT4_GROUP, sums += sizeof(int32_t)) {
        const int32_t sum = convert_columns(rows, x, i, i + KERNEL_INT4_GROUP, q, (int8_t *)out);
        memcpy(sums, &sum, sizeof sum);
        total += sum;
    }
    memcpy(out + padded, &q.scale, sizeof q.scale);
    memcpy(out + padded + sizeof q.scale, &total, sizeof total);
}

VECTOR_INLINE void convert_rows(const struct activation_rows *rows, size_t row_first, size_t row_count,
                                enum weight_type type) {
    const size_t bytes = kernel_row_bytes(type, rows->k);
    announce_conversion(rows, type, row_first, row_count);
    for (size_t r = row_first; r < row_first + row_count; r++) {
        const float *x = rows->x + r * rows->x_stride;
        if (type == WEIGHT_TYPE_INT8)
            convert_row_int8(rows, x, rows->out + r * bytes);
        else
            convert_row_int4(rows, x, rows->out + r * bytes);
    }
}

/* store: sixteen numbers to column i of a row, rounded; those that count as 0 are 0 already. */
VECTOR_INLINE void convert_rows_bf16(const struct activation_rows *rows, size_t row_first, size_t row_count,
                                     void (*store)(unsigned char *row, size_t i, struct vector v)) {
    const size_t bytes = kernel_row_bytes(WEIGHT_TYPE_BF16, rows->k), end = convert_end(rows);
    announce_conversion(rows, WEIGHT_TYPE_BF16, row_first, row_count);
    for (size_t r = row_first; r < row_first + row_count; r++) {
        const float *x = rows->x + r * rows->x_stride;
        for (size_t i = rows->first; i < end; i += KERNEL_LANES)
            store(rows->out + r * bytes, i, convert_flush(convert_load(x, rows->smoothing, rows->k, i)));
    }
}
