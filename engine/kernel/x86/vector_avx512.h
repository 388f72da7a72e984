/* Sixteen float lanes in one zmm register. What each function means is said in vector_scalar.h. */
#pragma once

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/kernel/variant.h"

struct vector {
    __m512 lanes;
};

struct mask {
    __mmask16 lanes;
};

VECTOR_INLINE struct vector vector_splat(float value) {
    return (struct vector){_mm512_set1_ps(value)};
}

VECTOR_INLINE struct vector vector_load(const float *from) {
    return (struct vector){_mm512_loadu_ps(from)};
}

VECTOR_INLINE void vector_store(float *to, struct vector v) {
    _mm512_storeu_ps(to, v.lanes);
}

VECTOR_INLINE struct mask mask_range(size_t first, size_t end) {
    return (struct mask){(__mmask16)(((1u << end) - 1u) & ~((1u << first) - 1u))};
}

VECTOR_INLINE struct vector vector_load_first(const float *from, size_t count) {
    if (count >= KERNEL_LANES) return vector_load(from);
    return (struct vector){_mm512_maskz_loadu_ps(mask_range(0, count).lanes, from)};
}

VECTOR_INLINE void vector_store_first(float *to, struct vector v, size_t count) {
    if (count >= KERNEL_LANES) { /* a masked store is slow to be read back */
        vector_store(to, v);
        return;
    }
    _mm512_mask_storeu_ps(to, mask_range(0, count).lanes, v.lanes);
}

VECTOR_INLINE struct vector vector_load_half_first(const uint16_t *from, size_t count) {
    if (count >= KERNEL_LANES)
        return (struct vector){_mm512_cvtph_ps(_mm256_loadu_si256((const void *)from))};
    return (struct vector){_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask_range(0, count).lanes, from))};
}

VECTOR_INLINE struct vector vector_load_int8_first(const int8_t *from, size_t count) {
    __m128i bytes = count >= KERNEL_LANES ? _mm_loadu_si128((const void *)from)
                                          : _mm_maskz_loadu_epi8(mask_range(0, count).lanes, from);
    return (struct vector){_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))};
}

VECTOR_INLINE struct vector vector_load_bf16_first(const uint16_t *from, enum parity parity, size_t pairs) {
    const __m512i both = pairs >= KERNEL_LANES
                             ? _mm512_loadu_si512(from)
                             : _mm512_castps_si512(_mm512_maskz_loadu_ps(mask_range(0, pairs).lanes, from));
    return (struct vector){
        _mm512_castsi512_ps(parity == ODD ? _mm512_and_si512(both, _mm512_set1_epi32((int)0xffff0000u))
                                          : _mm512_slli_epi32(both, 16))};
}

/* On the upper half of the bits; NaN stays as it is. */
VECTOR_INLINE struct vector vector_round_bf16(struct vector v) {
    __m512i bits = _mm512_castps_si512(v.lanes), odd = _mm512_srli_epi32(_mm512_slli_epi32(bits, 15), 31);
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    rounded = _mm512_and_si512(rounded, _mm512_set1_epi32((int)0xffff0000u));
    rounded = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(v.lanes, v.lanes, _CMP_UNORD_Q), bits);
    return (struct vector){_mm512_castsi512_ps(rounded)};
}

/* With one NaN for all, whose upper half could be infinity. */
VECTOR_INLINE __m512i vector_bf16_bits(struct vector v) {
    const __mmask16 nan = _mm512_cmp_ps_mask(v.lanes, v.lanes, _CMP_UNORD_Q);
    return _mm512_mask_mov_epi32(_mm512_castps_si512(v.lanes), nan, _mm512_set1_epi32(0x7fc00000));
}

VECTOR_INLINE void vector_store_bf16_first(uint16_t *to, enum parity parity, struct vector v, size_t count) {
    const __m512i halves = vector_bf16_bits(v);
    const __mmask32 all = parity == ODD ? 0xaaaaaaaa : 0x55555555,
                    mask = count < KERNEL_LANES ? all & ((UINT32_C(1) << 2 * count) - 1) : all;
    _mm512_mask_storeu_epi16(to, mask, parity == ODD ? halves : _mm512_srli_epi32(halves, 16));
}

VECTOR_INLINE void vector_store_bf16_pairs(uint16_t *to, struct vector even, struct vector odd) {
    const __m512i first = _mm512_srli_epi32(vector_bf16_bits(even), 16);
    _mm512_storeu_si512(to, _mm512_mask_mov_epi16(first, 0xaaaaaaaa, vector_bf16_bits(odd)));
}

VECTOR_INLINE void vector_store_half(uint16_t *to, struct vector v) {
    _mm256_storeu_si256((void *)to, _mm512_cvtps_ph(v.lanes, _MM_FROUND_TO_NEAREST_INT));
}

VECTOR_INLINE void vector_store_int8(int8_t *to, struct vector shifted) {
    _mm_storeu_si128((void *)to, _mm512_cvtepi32_epi8(_mm512_castps_si512(shifted.lanes)));
}

VECTOR_INLINE struct vector vector_add(struct vector a, struct vector b) {
    return (struct vector){_mm512_add_ps(a.lanes, b.lanes)};
}

VECTOR_INLINE struct vector vector_subtract(struct vector a, struct vector b) {
    return (struct vector){_mm512_sub_ps(a.lanes, b.lanes)};
}

VECTOR_INLINE struct vector vector_multiply(struct vector a, struct vector b) {
    return (struct vector){_mm512_mul_ps(a.lanes, b.lanes)};
}

VECTOR_INLINE struct vector vector_divide(struct vector a, struct vector b) {
    return (struct vector){_mm512_div_ps(a.lanes, b.lanes)};
}

VECTOR_INLINE struct vector vector_fma(struct vector a, struct vector b, struct vector c) {
    return (struct vector){_mm512_fmadd_ps(a.lanes, b.lanes, c.lanes)};
}

VECTOR_INLINE struct vector vector_max(struct vector a, struct vector b) {
    return (struct vector){_mm512_max_ps(a.lanes, b.lanes)};
}

VECTOR_INLINE struct vector vector_min(struct vector a, struct vector b) {
    return (struct vector){_mm512_min_ps(a.lanes, b.lanes)};
}

VECTOR_INLINE struct mask vector_greater(struct vector a, struct vector b) {
    return (struct mask){_mm512_cmp_ps_mask(a.lanes, b.lanes, _CMP_GT_OQ)};
}

VECTOR_INLINE struct vector vector_select(struct mask m, struct vector yes, struct vector no) {
    return (struct vector){_mm512_mask_blend_ps(m.lanes, no.lanes, yes.lanes)};
}

/* As by two multiplications: the result is never subnormal for the v (near 1) that it is given, so all are
 * exact or infinite. */
VECTOR_INLINE struct vector vector_scale_by_power(struct vector v, struct vector shifted) {
    const __m512 n = _mm512_sub_ps(shifted.lanes, _mm512_set1_ps(KERNEL_ROUNDING_SHIFT));
    return (struct vector){_mm512_scalef_ps(v.lanes, n)};
}

VECTOR_INLINE struct vector vector_scale_down(struct vector v, struct vector shifted) {
    return vector_scale_by_power(v, shifted);
}

VECTOR_INLINE __m256 vector_upper_half(struct vector v) {
    return _mm512_extractf32x8_ps(v.lanes, 1);
}

VECTOR_INLINE float vector_sum(struct vector v) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v.lanes), vector_upper_half(v));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

VECTOR_INLINE float vector_largest(struct vector v) {
    __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(v.lanes), vector_upper_half(v));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/* The quarters are exchanged first, so that all four share the steps. */
VECTOR_INLINE void vector_largest_of_four(const struct vector *v, float *largest) {
    const __m512i each_quarter = _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
    const __m512 a = v[0].lanes, b = v[1].lanes, c = v[2].lanes, d = v[3].lanes;
    const __m512 ab = _mm512_max_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    const __m512 cd = _mm512_max_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    const __m512 four = _mm512_max_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    const __m512 two = _mm512_max_ps(four, _mm512_permute_ps(four, 0x4e));
    const __m512 one = _mm512_max_ps(two, _mm512_permute_ps(two, 0xb1));
    _mm_storeu_ps(largest, _mm512_castps512_ps128(_mm512_permutexvar_ps(each_quarter, one)));
}

VECTOR_INLINE struct vector vector_larger_magnitude(struct vector v, struct vector largest) {
    const __m512i magnitude = _mm512_and_si512(_mm512_castps_si512(v.lanes), _mm512_set1_epi32(0x7fffffff));
    return (struct vector){
        _mm512_castsi512_ps(_mm512_max_epu32(magnitude, _mm512_castps_si512(largest.lanes)))};
}

VECTOR_INLINE float vector_largest_magnitude(struct vector v) {
    const __m256i eight = _mm256_max_epu32(_mm256_castps_si256(_mm512_castps512_ps256(v.lanes)),
                                           _mm256_castps_si256(vector_upper_half(v)));
    const __m128i four = _mm_max_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    const __m128i two = _mm_max_epu32(four, _mm_unpackhi_epi64(four, four));
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epu32(two, _mm_srli_epi64(two, 32))));
}

VECTOR_INLINE __m512 vector_add_integer_lanes(__m512 a, __m512 b) {
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}

VECTOR_INLINE struct vector vector_add_integers(struct vector a, struct vector b) {
    return (struct vector){vector_add_integer_lanes(a.lanes, b.lanes)};
}

VECTOR_INLINE uint32_t vector_sum_integers(struct vector v) {
    const __m256i eight = _mm256_add_epi32(_mm256_castps_si256(_mm512_castps512_ps256(v.lanes)),
                                           _mm256_castps_si256(vector_upper_half(v)));
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(two, _mm_srli_epi64(two, 32)));
}

/* As vector_largest_of_four. */
VECTOR_INLINE void vector_sum_integers_of_four(const struct vector *v, uint32_t *sums) {
    const __m512i each_quarter = _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
    const __m512 a = v[0].lanes, b = v[1].lanes, c = v[2].lanes, d = v[3].lanes;
    const __m512 ab =
        vector_add_integer_lanes(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    const __m512 cd =
        vector_add_integer_lanes(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    const __m512 four =
        vector_add_integer_lanes(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    const __m512 two = vector_add_integer_lanes(four, _mm512_permute_ps(four, 0x4e));
    const __m512 one = vector_add_integer_lanes(two, _mm512_permute_ps(two, 0xb1));
    _mm_storeu_si128((void *)sums,
                     _mm_castps_si128(_mm512_castps512_ps128(_mm512_permutexvar_ps(each_quarter, one))));
}

/* Four vectors: of each quarter the 4 x 4 lanes. */
VECTOR_INLINE void vector_transpose_quarters(struct vector *v) {
    const __m512 a = _mm512_shuffle_ps(v[0].lanes, v[1].lanes, 0x44),
                 b = _mm512_shuffle_ps(v[0].lanes, v[1].lanes, 0xee),
                 c = _mm512_shuffle_ps(v[2].lanes, v[3].lanes, 0x44),
                 d = _mm512_shuffle_ps(v[2].lanes, v[3].lanes, 0xee);
    v[0].lanes = _mm512_shuffle_ps(a, c, 0x88);
    v[1].lanes = _mm512_shuffle_ps(a, c, 0xdd);
    v[2].lanes = _mm512_shuffle_ps(b, d, 0x88);
    v[3].lanes = _mm512_shuffle_ps(b, d, 0xdd);
}

/* Lanes within quarters, then the quarters of every fourth vector. */
VECTOR_INLINE void vector_transpose(struct vector *v) {
    KERNEL_EACH (i, 4) vector_transpose_quarters(v + 4 * i);
    KERNEL_EACH (i, 4) {
        const __m512 a = _mm512_shuffle_f32x4(v[i].lanes, v[i + 4].lanes, 0x88),
                     b = _mm512_shuffle_f32x4(v[i].lanes, v[i + 4].lanes, 0xdd),
                     c = _mm512_shuffle_f32x4(v[i + 8].lanes, v[i + 12].lanes, 0x88),
                     d = _mm512_shuffle_f32x4(v[i + 8].lanes, v[i + 12].lanes, 0xdd);
        v[i].lanes = _mm512_shuffle_f32x4(a, c, 0x88);
        v[i + 4].lanes = _mm512_shuffle_f32x4(b, d, 0x88);
        v[i + 8].lanes = _mm512_shuffle_f32x4(a, c, 0xdd);
        v[i + 12].lanes = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
}

/* ---- one register, for the microkernels of GEMMs ---- */

#define VECTOR_REGISTER __m512
#define INT_REGISTER    __m512i
#define REGISTER_LANES  16

VECTOR_INLINE __m512 register_zero(void) {
    return _mm512_setzero_ps();
}

VECTOR_INLINE __m512 register_load(const float *from) {
    return _mm512_loadu_ps(from);
}

VECTOR_INLINE void register_store(float *to, __m512 v) {
    _mm512_storeu_ps(to, v);
}

VECTOR_INLINE __m512 register_splat(const float *value) {
    return _mm512_set1_ps(*value);
}

VECTOR_INLINE __m512 register_add(__m512 a, __m512 b) {
    return _mm512_add_ps(a, b);
}

/* a * b + c, rounded once. */
VECTOR_INLINE __m512 register_fma(__m512 a, __m512 b, __m512 c) {
    return _mm512_fmadd_ps(a, b, c);
}
