/* Sixteen float lanes in plain C: the definition of what the other vector_*.h do. Each file of kernels
 * includes one of them before the headers in template/, which are written in terms of it and so are compiled
 * once for each instruction set. */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/kernel/variant.h"

struct vector {
    float lane[KERNEL_LANES];
};

struct mask {
    bool lane[KERNEL_LANES];
};

#define EACH_LANE for (size_t i = 0; i < KERNEL_LANES; i++)

VECTOR_INLINE struct vector vector_splat(float value) {
    struct vector v;
    EACH_LANE v.lane[i] = value;
    return v;
}

VECTOR_INLINE struct vector vector_load(const float *from) {
    struct vector v;
    memcpy(v.lane, from, sizeof v.lane);
    return v;
}

VECTOR_INLINE void vector_store(float *to, struct vector v) {
    memcpy(to, v.lane, sizeof v.lane);
}

/* The first count (0 .. 16) lanes; the others are zero and their memory is not touched. */
VECTOR_INLINE struct vector vector_load_first(const float *from, size_t count) {
    struct vector v = vector_splat(0.0f);
    if (count) memcpy(v.lane, from, count * sizeof(float));
    return v;
}

VECTOR_INLINE void vector_store_first(float *to, struct vector v, size_t count) {
    if (count) memcpy(to, v.lane, count * sizeof(float));
}

/* The same of IEEE halves and of integers. */
VECTOR_INLINE struct vector vector_load_half_first(const uint16_t *from, size_t count) {
    struct vector v;
    EACH_LANE v.lane[i] = i < count ? kernel_f16_to_float(from[i]) : 0.0f;
    return v;
}

VECTOR_INLINE struct vector vector_load_int8_first(const int8_t *from, size_t count) {
    struct vector v;
    EACH_LANE v.lane[i] = i < count ? (float)from[i] : 0.0f;
    return v;
}

/* One half of each pair of bf16, as floats. */
VECTOR_INLINE struct vector vector_load_bf16_first(const uint16_t *from, enum parity parity, size_t pairs) {
    struct vector v;
    EACH_LANE v.lane[i] = i < pairs ? kernel_bf16_to_float(from[2 * i + parity]) : 0.0f;
    return v;
}

/* The upper halves of floats to one half of each of `count` pairs of bf16; NaN stays NaN. */
VECTOR_INLINE void vector_store_bf16_first(uint16_t *to, enum parity parity, struct vector v, size_t count) {
    EACH_LANE if (i < count) to[2 * i + parity] = kernel_bf16_of(v.lane[i]);
}

/* All of sixteen pairs: one half from each vector. */
VECTOR_INLINE void vector_store_bf16_pairs(uint16_t *to, struct vector even, struct vector odd) {
    vector_store_bf16_first(to, EVEN, even, KERNEL_LANES);
    vector_store_bf16_first(to, ODD, odd, KERNEL_LANES);
}

/* Rounded to what bf16 has, to nearest even; NaN stays NaN. */
VECTOR_INLINE struct vector vector_round_bf16(struct vector v) {
    EACH_LANE v.lane[i] = kernel_bf16_to_float(kernel_bf16_of(v.lane[i]));
    return v;
}

/* All lanes, rounded to nearest even. */
VECTOR_INLINE void vector_store_half(uint16_t *to, struct vector v) {
    EACH_LANE to[i] = kernel_f16_of(v.lane[i]);
}

/* All lanes, each -128 .. 127 and given as its sum with 1.5 * 2^23, so that it stands in the low bits. */
VECTOR_INLINE void vector_store_int8(int8_t *to, struct vector shifted) {
    EACH_LANE {
        uint32_t bits;
        memcpy(&bits, &shifted.lane[i], sizeof bits);
        to[i] = (int8_t)(uint8_t)(bits & 0xff);
    }
}

VECTOR_INLINE struct vector vector_add(struct vector a, struct vector b) {
    EACH_LANE a.lane[i] += b.lane[i];
    return a;
}

VECTOR_INLINE struct vector vector_subtract(struct vector a, struct vector b) {
    EACH_LANE a.lane[i] -= b.lane[i];
    return a;
}

VECTOR_INLINE struct vector vector_multiply(struct vector a, struct vector b) {
    EACH_LANE a.lane[i] *= b.lane[i];
    return a;
}

VECTOR_INLINE struct vector vector_divide(struct vector a, struct vector b) {
    EACH_LANE a.lane[i] /= b.lane[i];
    return a;
}

/* a * b + c, rounded once. */
VECTOR_INLINE struct vector vector_fma(struct vector a, struct vector b, struct vector c) {
    EACH_LANE c.lane[i] = fmaf(a.lane[i], b.lane[i], c.lane[i]);
    return c;
}

/* a > b ? a : b, so b where either is NaN. */
VECTOR_INLINE struct vector vector_max(struct vector a, struct vector b) {
    EACH_LANE b.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    return b;
}

/* a < b ? a : b, so b where either is NaN. */
VECTOR_INLINE struct vector vector_min(struct vector a, struct vector b) {
    EACH_LANE b.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
    return b;
}

/* Lanes first <= i < end. */
VECTOR_INLINE struct mask mask_range(size_t first, size_t end) {
    struct mask m;
    EACH_LANE m.lane[i] = i >= first && i < end;
    return m;
}

VECTOR_INLINE struct mask vector_greater(struct vector a, struct vector b) {
    struct mask m;
    EACH_LANE m.lane[i] = a.lane[i] > b.lane[i];
    return m;
}

VECTOR_INLINE struct vector vector_select(struct mask m, struct vector yes, struct vector no) {
    EACH_LANE no.lane[i] = m.lane[i] ? yes.lane[i] : no.lane[i];
    return no;
}

VECTOR_INLINE float vector_bits_to_float(int32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* v * 2^n, where `shifted` holds n + 1.5 * 2^23 as a float and -126 <= n <= 128, by two multiplications,
 * since 2^128 is not a float. */
VECTOR_INLINE struct vector vector_scale_by_power(struct vector v, struct vector shifted) {
    EACH_LANE {
        uint32_t bits;
        memcpy(&bits, &shifted.lane[i], sizeof bits);
        int32_t n = (int32_t)(bits - 0x4b400000u), half = n >> 1;
        v.lane[i] *= vector_bits_to_float((int32_t)((uint32_t)(half + 127) << 23));
        v.lane[i] *= vector_bits_to_float((int32_t)((uint32_t)(n - half + 127) << 23));
    }
    return v;
}

/* The same for n <= 0, by one multiplication. NaN where v is NaN; else, where n < -126, of no account. */
VECTOR_INLINE struct vector vector_scale_down(struct vector v, struct vector shifted) {
    EACH_LANE {
        uint32_t bits;
        memcpy(&bits, &shifted.lane[i], sizeof bits);
        v.lane[i] *= vector_bits_to_float((int32_t)((bits << 23) + 0x3f800000u));
    }
    return v;
}

/* The lanes added pairwise: lane i += lane i+8, then +4, +2, +1. */
VECTOR_INLINE float vector_sum(struct vector v) {
    for (size_t half = KERNEL_LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++) v.lane[i] += v.lane[i + half];
    return v.lane[0];
}

/* The largest lane, by vector_max in the same pairs. */
VECTOR_INLINE float vector_largest(struct vector v) {
    for (size_t half = KERNEL_LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            v.lane[i] = v.lane[i] > v.lane[i + half] ? v.lane[i] : v.lane[i + half];
    return v.lane[0];
}

/* That of each of four vectors. */
VECTOR_INLINE void vector_largest_of_four(const struct vector *v, float *largest) {
    for (size_t i = 0; i < 4; i++) largest[i] = vector_largest(v[i]);
}

VECTOR_INLINE uint32_t vector_float_to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* By lanes the larger of the magnitude of v and of `largest`, a magnitude, in the order of their bits: beyond all others is
 * infinity, and NaN beyond that. */
VECTOR_INLINE struct vector vector_larger_magnitude(struct vector v, struct vector largest) {
    EACH_LANE {
        const uint32_t magnitude = vector_float_to_bits(v.lane[i]) & 0x7fffffffu;
        if (magnitude > vector_float_to_bits(largest.lane[i]))
            largest.lane[i] = vector_bits_to_float((int32_t)magnitude);
    }
    return largest;
}

/* The largest lane of magnitudes, in the same order. */
VECTOR_INLINE float vector_largest_magnitude(struct vector v) {
    uint32_t largest = 0;
    EACH_LANE if (vector_float_to_bits(v.lane[i]) > largest) largest = vector_float_to_bits(v.lane[i]);
    return vector_bits_to_float((int32_t)largest);
}

/* Lanes as integers of 32 bits, modulo 2^32. */
VECTOR_INLINE struct vector vector_add_integers(struct vector a, struct vector b) {
    EACH_LANE a.lane[i] =
        vector_bits_to_float((int32_t)(vector_float_to_bits(a.lane[i]) + vector_float_to_bits(b.lane[i])));
    return a;
}

VECTOR_INLINE uint32_t vector_sum_integers(struct vector v) {
    uint32_t sum = 0;
    EACH_LANE sum += vector_float_to_bits(v.lane[i]);
    return sum;
}

/* Of each of four vectors. */
VECTOR_INLINE void vector_sum_integers_of_four(const struct vector *v, uint32_t *sums) {
    for (size_t i = 0; i < 4; i++) sums[i] = vector_sum_integers(v[i]);
}

/* Of sixteen vectors: lane i of vector j and lane j of vector i change places. */
VECTOR_INLINE void vector_transpose(struct vector *v) {
    EACH_LANE for (size_t j = 0; j < i; j++) {
        const float lane = v[i].lane[j];
        v[i].lane[j] = v[j].lane[i];
        v[j].lane[i] = lane;
    }
}

#undef EACH_LANE
