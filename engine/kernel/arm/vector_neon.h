/* Sixteen float lanes in four registers of NEON. What each function means is said in vector_scalar.h. */
#pragma once

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/kernel/variant.h"

#define VECTOR_PARTS   4
#define REGISTER_LANES (KERNEL_LANES / VECTOR_PARTS)

struct vector {
    float32x4_t part[VECTOR_PARTS];
};

struct mask {
    uint32x4_t part[VECTOR_PARTS];
};

#define EACH_PART KERNEL_EACH (i, VECTOR_PARTS)

VECTOR_INLINE struct vector vector_splat(float value) {
    struct vector v;
    EACH_PART v.part[i] = vdupq_n_f32(value);
    return v;
}

VECTOR_INLINE struct vector vector_load(const float *from) {
    struct vector v;
    EACH_PART v.part[i] = vld1q_f32(from + i * REGISTER_LANES);
    return v;
}

VECTOR_INLINE void vector_store(float *to, struct vector v) {
    EACH_PART vst1q_f32(to + i * REGISTER_LANES, v.part[i]);
}

VECTOR_INLINE struct mask mask_range(size_t first, size_t end) {
    const uint32_t from_zero[REGISTER_LANES] = {0, 1, 2, 3};
    struct mask m;
    EACH_PART {
        uint32x4_t index = vaddq_u32(vld1q_u32(from_zero), vdupq_n_u32((uint32_t)(i * REGISTER_LANES)));
        uint32x4_t reached = vcgeq_u32(index, vdupq_n_u32((uint32_t)first));
        m.part[i] = vandq_u32(reached, vcltq_u32(index, vdupq_n_u32((uint32_t)end)));
    }
    return m;
}

/* There are no masked loads and stores: the first few lanes go through the stack, here and below. */
VECTOR_INLINE struct vector vector_load_first(const float *from, size_t count) {
    float few[KERNEL_LANES] = {0};
    if (count < KERNEL_LANES) from = memcpy(few, from, count * sizeof *few);
    return vector_load(from);
}

VECTOR_INLINE void vector_store_first(float *to, struct vector v, size_t count) {
    float few[KERNEL_LANES];
    if (count >= KERNEL_LANES) {
        vector_store(to, v);
        return;
    }
    vector_store(few, v);
    memcpy(to, few, count * sizeof *few);
}

VECTOR_INLINE struct vector vector_load_half_first(const uint16_t *from, size_t count) {
    uint16_t few[KERNEL_LANES] = {0};
    if (count < KERNEL_LANES) from = memcpy(few, from, count * sizeof *few);
    struct vector v;
    EACH_PART v.part[i] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from + i * REGISTER_LANES)));
    return v;
}

VECTOR_INLINE struct vector vector_load_int8_first(const int8_t *from, size_t count) {
    int8_t few[KERNEL_LANES] = {0};
    if (count < KERNEL_LANES) from = memcpy(few, from, count);
    const int8x16_t bytes = vld1q_s8(from);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    return (struct vector){{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
                            vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
                            vcvtq_f32_s32(vmovl_high_s16(high))}};
}

VECTOR_INLINE struct vector vector_load_bf16_first(const uint16_t *from, enum parity parity, size_t pairs) {
    uint16_t few[2 * KERNEL_LANES] = {0};
    if (pairs < KERNEL_LANES) from = memcpy(few, from, pairs * 2 * sizeof *few);
    struct vector v;
    EACH_PART {
        const uint32x4_t both = vreinterpretq_u32_u16(vld1q_u16(from + i * 2 * REGISTER_LANES));
        v.part[i] = vreinterpretq_f32_u32(parity == ODD ? vandq_u32(both, vdupq_n_u32(0xffff0000u))
                                                        : vshlq_n_u32(both, 16));
    }
    return v;
}

/* On the upper half of the bits; NaN stays as it is. */
VECTOR_INLINE float32x4_t vector_round_bf16_part(float32x4_t v) {
    const uint32x4_t bits = vreinterpretq_u32_f32(v), odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    const uint32x4_t upper = vandq_u32(rounded, vdupq_n_u32(0xffff0000u));
    return vbslq_f32(vceqq_f32(v, v), vreinterpretq_f32_u32(upper), v);
}

VECTOR_INLINE struct vector vector_round_bf16(struct vector v) {
    EACH_PART v.part[i] = vector_round_bf16_part(v.part[i]);
    return v;
}

VECTOR_INLINE void vector_store_bf16_first(uint16_t *to, enum parity parity, struct vector v, size_t count) {
    float floats[KERNEL_LANES];
    vector_store(floats, v);
    kernel_store_bf16_first(to, parity, floats, count);
}

/* NaN, whose upper half could be infinity, gets another bit. */
VECTOR_INLINE uint16x8_t vector_bf16_bits(float32x4_t v) {
    const uint32x4_t bits = vreinterpretq_u32_f32(v),
                     marked = vorrq_u32(bits, vdupq_n_u32(UINT32_C(1) << 22));
    return vreinterpretq_u16_u32(vbslq_u32(vceqq_f32(v, v), bits, marked));
}

VECTOR_INLINE void vector_store_bf16_pairs(uint16_t *to, struct vector even, struct vector odd) {
    EACH_PART vst1q_u16(to + i * 2 * REGISTER_LANES,
                        vtrn2q_u16(vector_bf16_bits(even.part[i]), vector_bf16_bits(odd.part[i])));
}

VECTOR_INLINE void vector_store_half(uint16_t *to, struct vector v) {
    EACH_PART vst1_u16(to + i * REGISTER_LANES, vreinterpret_u16_f16(vcvt_f16_f32(v.part[i])));
}

/* The lower halves of sixteen lanes of 32 bits, twice. */
VECTOR_INLINE void vector_store_int8(int8_t *to, struct vector shifted) {
    uint16x8_t words[2];
    KERNEL_EACH (i, 2) {
        const uint16x4_t low = vmovn_u32(vreinterpretq_u32_f32(shifted.part[2 * i]));
        words[i] = vmovn_high_u32(low, vreinterpretq_u32_f32(shifted.part[2 * i + 1]));
    }
    vst1q_s8(to, vreinterpretq_s8_u8(vmovn_high_u16(vmovn_u16(words[0]), words[1])));
}

VECTOR_INLINE struct vector vector_add(struct vector a, struct vector b) {
    EACH_PART a.part[i] = vaddq_f32(a.part[i], b.part[i]);
    return a;
}

VECTOR_INLINE struct vector vector_subtract(struct vector a, struct vector b) {
    EACH_PART a.part[i] = vsubq_f32(a.part[i], b.part[i]);
    return a;
}

VECTOR_INLINE struct vector vector_multiply(struct vector a, struct vector b) {
    EACH_PART a.part[i] = vmulq_f32(a.part[i], b.part[i]);
    return a;
}

VECTOR_INLINE struct vector vector_divide(struct vector a, struct vector b) {
    EACH_PART a.part[i] = vdivq_f32(a.part[i], b.part[i]);
    return a;
}

VECTOR_INLINE struct vector vector_fma(struct vector a, struct vector b, struct vector c) {
    EACH_PART c.part[i] = vfmaq_f32(c.part[i], a.part[i], b.part[i]);
    return c;
}

/* Compared and chosen: the instructions for maximum and minimum let a NaN win, and tell -0 from 0. */
VECTOR_INLINE float32x4_t vector_max_part(float32x4_t a, float32x4_t b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

VECTOR_INLINE struct vector vector_max(struct vector a, struct vector b) {
    EACH_PART b.part[i] = vector_max_part(a.part[i], b.part[i]);
    return b;
}

VECTOR_INLINE struct vector vector_min(struct vector a, struct vector b) {
    EACH_PART b.part[i] = vbslq_f32(vcltq_f32(a.part[i], b.part[i]), a.part[i], b.part[i]);
    return b;
}

VECTOR_INLINE struct mask vector_greater(struct vector a, struct vector b) {
    struct mask m;
    EACH_PART m.part[i] = vcgtq_f32(a.part[i], b.part[i]);
    return m;
}

VECTOR_INLINE struct vector vector_select(struct mask m, struct vector yes, struct vector no) {
    EACH_PART no.part[i] = vbslq_f32(m.part[i], yes.part[i], no.part[i]);
    return no;
}

VECTOR_INLINE float32x4_t vector_power(int32x4_t n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

VECTOR_INLINE struct vector vector_scale_by_power(struct vector v, struct vector shifted) {
    EACH_PART {
        int32x4_t n = vsubq_s32(vreinterpretq_s32_f32(shifted.part[i]), vdupq_n_s32(0x4b400000));
        int32x4_t half = vshrq_n_s32(n, 1);
        v.part[i] = vmulq_f32(vmulq_f32(v.part[i], vector_power(half)), vector_power(vsubq_s32(n, half)));
    }
    return v;
}

VECTOR_INLINE struct vector vector_scale_down(struct vector v, struct vector shifted) {
    EACH_PART {
        const int32x4_t exponent = vshlq_n_s32(vreinterpretq_s32_f32(shifted.part[i]), 23);
        v.part[i] = vmulq_f32(v.part[i], vreinterpretq_f32_s32(vaddq_s32(exponent, vdupq_n_s32(0x3f800000))));
    }
    return v;
}

VECTOR_INLINE float vector_sum(struct vector v) {
    const float32x4_t four = vaddq_f32(vaddq_f32(v.part[0], v.part[2]), vaddq_f32(v.part[1], v.part[3]));
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

/* The largest of lanes i, i + 4, i + 8, i + 12. */
VECTOR_INLINE float32x4_t vector_largest_fours(struct vector v) {
    return vector_max_part(vector_max_part(v.part[0], v.part[2]), vector_max_part(v.part[1], v.part[3]));
}

VECTOR_INLINE float vector_largest(struct vector v) {
    const float32x4_t four = vector_largest_fours(v);
    const float32x4_t two = vector_max_part(four, vextq_f32(four, four, 2));
    return vgetq_lane_f32(vector_max_part(two, vextq_f32(two, two, 1)), 0);
}

/* Of two such quarters: the largest of each one's lanes i and i + 2. */
VECTOR_INLINE float32x4_t vector_largest_twos(float32x4_t a, float32x4_t b) {
    return vector_max_part(vcombine_f32(vget_low_f32(a), vget_low_f32(b)),
                           vcombine_f32(vget_high_f32(a), vget_high_f32(b)));
}

VECTOR_INLINE void vector_largest_of_four(const struct vector *v, float *largest) {
    const float32x4_t ab = vector_largest_twos(vector_largest_fours(v[0]), vector_largest_fours(v[1])),
                      cd = vector_largest_twos(vector_largest_fours(v[2]), vector_largest_fours(v[3]));
    vst1q_f32(largest, vector_max_part(vuzp1q_f32(ab, cd), vuzp2q_f32(ab, cd)));
}

VECTOR_INLINE struct vector vector_larger_magnitude(struct vector v, struct vector largest) {
    EACH_PART {
        const uint32x4_t magnitude = vreinterpretq_u32_f32(vabsq_f32(v.part[i]));
        largest.part[i] = vreinterpretq_f32_u32(vmaxq_u32(magnitude, vreinterpretq_u32_f32(largest.part[i])));
    }
    return largest;
}

VECTOR_INLINE float vector_largest_magnitude(struct vector v) {
    uint32x4_t part[VECTOR_PARTS];
    EACH_PART part[i] = vreinterpretq_u32_f32(v.part[i]);
    const uint32x4_t two[] = {vmaxq_u32(part[0], part[1]), vmaxq_u32(part[2], part[3])};
    const uint32x4_t largest = vdupq_n_u32(vmaxvq_u32(vmaxq_u32(two[0], two[1])));
    return vgetq_lane_f32(vreinterpretq_f32_u32(largest), 0);
}

VECTOR_INLINE struct vector vector_add_integers(struct vector a, struct vector b) {
    EACH_PART a.part[i] =
        vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(a.part[i]), vreinterpretq_u32_f32(b.part[i])));
    return a;
}

VECTOR_INLINE uint32x4_t vector_four_integers(struct vector v) {
    uint32x4_t part[VECTOR_PARTS];
    EACH_PART part[i] = vreinterpretq_u32_f32(v.part[i]);
    return vaddq_u32(vaddq_u32(part[0], part[1]), vaddq_u32(part[2], part[3]));
}

VECTOR_INLINE uint32_t vector_sum_integers(struct vector v) {
    return vaddvq_u32(vector_four_integers(v));
}

VECTOR_INLINE void vector_sum_integers_of_four(const struct vector *v, uint32_t *sums) {
    const uint32x4_t ab = vpaddq_u32(vector_four_integers(v[0]), vector_four_integers(v[1])),
                     cd = vpaddq_u32(vector_four_integers(v[2]), vector_four_integers(v[3]));
    vst1q_u32(sums, vpaddq_u32(ab, cd));
}

/* Four registers. */
VECTOR_INLINE void vector_transpose_four(float32x4_t *v) {
    const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(v[0], v[1])),
                      b = vreinterpretq_f64_f32(vtrn2q_f32(v[0], v[1])),
                      c = vreinterpretq_f64_f32(vtrn1q_f32(v[2], v[3])),
                      d = vreinterpretq_f64_f32(vtrn2q_f32(v[2], v[3]));
    v[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
    v[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
    v[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
    v[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}

VECTOR_INLINE void vector_transpose(struct vector *v) {
    float32x4_t part[VECTOR_PARTS][VECTOR_PARTS][4]; /* four rows, four columns */
    EACH_PART KERNEL_EACH (j, VECTOR_PARTS) KERNEL_EACH (k, 4) part[i][j][k] = v[4 * i + k].part[j];
    EACH_PART KERNEL_EACH (j, VECTOR_PARTS) vector_transpose_four(part[i][j]);
    EACH_PART KERNEL_EACH (j, VECTOR_PARTS) KERNEL_EACH (k, 4) v[4 * j + k].part[i] = part[i][j][k];
}

/* ---- one register, for the microkernels of GEMMs ---- */

#define VECTOR_REGISTER float32x4_t
#define INT_REGISTER    int32x4_t

VECTOR_INLINE float32x4_t register_zero(void) {
    return vdupq_n_f32(0.0f);
}

VECTOR_INLINE float32x4_t register_load(const float *from) {
    return vld1q_f32(from);
}

VECTOR_INLINE void register_store(float *to, float32x4_t v) {
    vst1q_f32(to, v);
}

VECTOR_INLINE float32x4_t register_splat(const float *value) {
    return vdupq_n_f32(*value);
}

VECTOR_INLINE float32x4_t register_add(float32x4_t a, float32x4_t b) {
    return vaddq_f32(a, b);
}

/* a * b + c, rounded once. */
VECTOR_INLINE float32x4_t register_fma(float32x4_t a, float32x4_t b, float32x4_t c) {
    return vfmaq_f32(c, a, b);
}

#undef EACH_PART
