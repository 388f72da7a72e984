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

/* Columns of a loop without conditions. */
#define CONVERT_STEP (4 * KERNEL_LANES)

/* KERNEL_ROUNDING_SHIFT as a float of 32 bits. */
#define CONVERT_SHIFT_BITS UINT32_C(0x4b400000)

/* Columns i .. i + 15 of a row of k, zeros beyond it, times the smoothing scales where there are any. */
VECTOR_INLINE struct vector convert_load(const float *x, const float *smoothing, size_t k, size_t i) {
    size_t lanes = k - i < KERNEL_LANES ? k - i : KERNEL_LANES;
    if (i >= k) return vector_splat(0.0f);
    struct vector v = vector_load_first(x + i, lanes);
    return smoothing ? vector_multiply(v, vector_load_first(smoothing + i, lanes)) : v;
}

/* The same of columns that are all there. */
VECTOR_INLINE struct vector convert_load_whole(const float *x, const float *smoothing, size_t i) {
    const struct vector v = vector_load(x + i);
    return smoothing ? vector_multiply(v, vector_load(smoothing + i)) : v;
}

/* Where the whole vectors of columns up to end of a row of k end. */
VECTOR_INLINE size_t convert_whole(size_t k, size_t end) {
    return (end < k ? end : k) / KERNEL_LANES * KERNEL_LANES;
}

/* The largest magnitude of columns [first, end); NaN when one of them is not finite. */
VECTOR_INLINE float convert_largest(const float *x, const float *smoothing, size_t k, size_t first,
                                    size_t end) {
    const size_t whole = convert_whole(k, end);
    struct vector largest = vector_splat(0.0f);
    size_t i = first;
    for (; i + CONVERT_STEP <= whole; i += CONVERT_STEP)
        KERNEL_EACH (v, CONVERT_STEP / KERNEL_LANES)
            largest =
                vector_larger_magnitude(convert_load_whole(x, smoothing, i + v * KERNEL_LANES), largest);
    for (; i < end && i < k; i += KERNEL_LANES)
        largest = vector_larger_magnitude(convert_load(x, smoothing, k, i), largest);
    const float magnitude = vector_largest_magnitude(largest);
    return magnitude + magnitude * 0.0f; /* which makes a NaN of infinity */
}

VECTOR_INLINE struct vector convert_flush(struct vector v) {
    struct vector magnitude = vector_max(v, vector_subtract(vector_splat(0.0f), v));
    return vector_select(vector_greater(vector_splat(KERNEL_BF16_MIN), magnitude), vector_splat(0.0f), v);
}

/* As bf16 has it, in floats. */
VECTOR_INLINE struct vector convert_bf16(struct vector v) {
    return vector_round_bf16(convert_flush(v));
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

VECTOR_INLINE void convert_vector(struct vector v, float inverse, int8_t *out, struct vector *sums) {
    const struct vector shifted = vector_fma(v, vector_splat(inverse), vector_splat(KERNEL_ROUNDING_SHIFT));
    vector_store_int8(out, shifted);
    *sums = vector_add_integers(*sums, shifted);
}

/* Columns [first, end) as integers, `step` at a time. Returns the sums of those by lanes, which hold CONVERT_SHIFT_BITS for
 * each too. */
VECTOR_INLINE struct vector convert_columns(const struct activation_rows *rows, const float *x, size_t first,
                                            size_t end, size_t step, float inverse, int8_t *out) {
    const size_t whole = convert_whole(rows->k, end);
    struct vector sums = vector_splat(0.0f);
    size_t i = first;
    for (; i + step <= whole; i += step)
        KERNEL_EACH (v, step / KERNEL_LANES) {
            const size_t column = i + v * KERNEL_LANES;
            convert_vector(convert_load_whole(x, rows->smoothing, column), inverse, out + column, &sums);
        }
    for (; i < end; i += KERNEL_LANES)
        convert_vector(convert_load(x, rows->smoothing, rows->k, i), inverse, out + i, &sums);
    return sums;
}

/* Out of the sum of so many, which are a multiple of KERNEL_LANES. */
VECTOR_INLINE int32_t convert_sum(uint32_t sum, size_t columns) {
    return (int32_t)(sum - (uint32_t)columns * CONVERT_SHIFT_BITS);
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
        int32_t sum = 0;
        if (q.scalable)
            sum = convert_sum(
                vector_sum_integers(convert_columns(rows, x, i, end, CONVERT_STEP, q.inverse, (int8_t *)out)),
                end - i);
        else
            memset(out + i, 0, end - i);
        memcpy(scale, &q.scale, sizeof q.scale);
        memcpy(scale + bytes, &sum, sizeof sum);
    }
}

/* Groups of int4, 2 or 4, from column i on, and the sum of each; returns that of all. */
VECTOR_INLINE int32_t convert_groups_int4(const struct activation_rows *rows, const float *x, size_t i,
                                          size_t groups, float inverse, int8_t *out, unsigned char *sums) {
    struct vector lanes[4];
    uint32_t sum[4];
    int32_t own[4], all = 0;
    KERNEL_EACH (g, 4) {
        const size_t first = i + g * KERNEL_INT4_GROUP;
        lanes[g] = vector_splat(0.0f);
        if (g < groups)
            lanes[g] =
                convert_columns(rows, x, first, first + KERNEL_INT4_GROUP, KERNEL_INT4_GROUP, inverse, out);
    }
    vector_sum_integers_of_four(lanes, sum);
    KERNEL_EACH (g, groups) all += own[g] = convert_sum(sum[g], KERNEL_INT4_GROUP);
    memcpy(sums, own, groups * sizeof *own);
    return all;
}

VECTOR_INLINE void convert_row_int4(const struct activation_rows *rows, const float *x, unsigned char *out) {
    const size_t padded = kernel_padded_k(rows->k), step = 4 * KERNEL_INT4_GROUP;
    const struct quantization q = quantization_of(convert_largest(x, rows->smoothing, rows->k, 0, padded));
    int8_t *numbers = (int8_t *)out;
    unsigned char *sums = out + padded + sizeof q.scale + sizeof(int32_t);
    int32_t total = 0;
    if (q.scalable) {
        size_t i = 0;
        for (; i + step <= padded; i += step, sums += 4 * sizeof total)
            total += convert_groups_int4(rows, x, i, 4, q.inverse, numbers, sums);
        if (i < padded) total += convert_groups_int4(rows, x, i, 2, q.inverse, numbers, sums);
    } else {
        memset(numbers, 0, padded);
        memset(sums, 0, padded / KERNEL_INT4_GROUP * sizeof total);
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
    const size_t bytes = kernel_row_bytes(WEIGHT_TYPE_BF16, rows->k), end = convert_end(rows),
                 whole = convert_whole(rows->k, end);
    announce_conversion(rows, WEIGHT_TYPE_BF16, row_first, row_count);
    for (size_t r = row_first; r < row_first + row_count; r++) {
        const float *x = rows->x + r * rows->x_stride;
        size_t i = rows->first;
        for (; i < whole; i += KERNEL_LANES)
            store(rows->out + r * bytes, i, convert_flush(convert_load_whole(x, rows->smoothing, i)));
        for (; i < end; i += KERNEL_LANES)
            store(rows->out + r * bytes, i, convert_flush(convert_load(x, rows->smoothing, rows->k, i)));
    }
}
