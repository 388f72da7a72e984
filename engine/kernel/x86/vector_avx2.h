/* Sixteen float lanes in two ymm registers. What each function means is said in vector_scalar.h. */
#pragma once

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/kernel/variant.h"

struct vector {
    __m256 low, high;
};

struct mask {
    __m256i low, high;
};

VECTOR_INLINE struct vector vector_splat(float value) {
    return (struct vector){_mm256_set1_ps(value), _mm256_set1_ps(value)};
}

VECTOR_INLINE struct vector vector_load(const float *from) {
    return (struct vector){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}

VECTOR_INLINE void vector_store(float *to, struct vector v) {
    _mm256_storeu_ps(to, v.low);
    _mm256_storeu_ps(to + 8, v.high);
}

/* Lanes of eight, numbered from `offset`, that lie in first <= i < end. */
VECTOR_INLINE __m256i mask_range_part(int offset, size_t first, size_t end) {
    __m256i index = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(offset));
    __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)first), index);
    return _mm256_andnot_si256(below, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)end), index));
}

VECTOR_INLINE struct mask mask_range(size_t first, size_t end) {
    return (struct mask){mask_range_part(0, first, end), mask_range_part(8, first, end)};
}

VECTOR_INLINE struct vector vector_load_first(const float *from, size_t count) {
    if (count >= KERNEL_LANES) return vector_load(from);
    struct mask m = mask_range(0, count);
    __m256 high = count > 8 ? _mm256_maskload_ps(from + 8, m.high) : _mm256_setzero_ps();
    return (struct vector){_mm256_maskload_ps(from, m.low), high};
}

VECTOR_INLINE void vector_store_first(float *to, struct vector v, size_t count) {
    if (count >= KERNEL_LANES) { /* a masked store is slow to be read back */
        vector_store(to, v);
        return;
    }
    struct mask m = mask_range(0, count);
    _mm256_maskstore_ps(to, m.low, v.low);
    if (count > 8) _mm256_maskstore_ps(to + 8, m.high, v.high);
}

/* Elements of 8 and 16 bits have no masked load: the first few go through the stack. */
VECTOR_INLINE struct vector vector_load_half_first(const uint16_t *from, size_t count) {
    uint16_t few[KERNEL_LANES] = {0};
    if (count < KERNEL_LANES) from = memcpy(few, from, count * sizeof *few);
    return (struct vector){_mm256_cvtph_ps(_mm_loadu_si128((const void *)from)),
                           _mm256_cvtph_ps(_mm_loadu_si128((const void *)(from + 8)))};
}

VECTOR_INLINE struct vector vector_load_int8_first(const int8_t *from, size_t count) {
    int8_t few[KERNEL_LANES] = {0};
    if (count < KERNEL_LANES) from = memcpy(few, from, count);
    return (struct vector){
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)from))),
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(from + 8))))};
}

VECTOR_INLINE __m256 vector_bf16_part(__m256i both, enum parity parity) {
    return _mm256_castsi256_ps(parity == ODD ? _mm256_and_si256(both, _mm256_set1_epi32((int)0xffff0000u))
                                             : _mm256_slli_epi32(both, 16));
}

VECTOR_INLINE struct vector vector_load_bf16_first(const uint16_t *from, enum parity parity, size_t pairs) {
    uint16_t few[2 * KERNEL_LANES] = {0};
    if (pairs < KERNEL_LANES) from = memcpy(few, from, pairs * 2 * sizeof *few);
    return (struct vector){vector_bf16_part(_mm256_loadu_si256((const void *)from), parity),
                           vector_bf16_part(_mm256_loadu_si256((const void *)(from + KERNEL_LANES)), parity)};
}

/* On the upper half of the bits; NaN stays as it is. */
VECTOR_INLINE __m256 vector_round_bf16_part(__m256 v) {
    __m256i bits = _mm256_castps_si256(v), odd = _mm256_srli_epi32(_mm256_slli_epi32(bits, 15), 31);
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    rounded = _mm256_and_si256(rounded, _mm256_set1_epi32((int)0xffff0000u));
    return _mm256_blendv_ps(_mm256_castsi256_ps(rounded), v, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
}

VECTOR_INLINE struct vector vector_round_bf16(struct vector v) {
    return (struct vector){vector_round_bf16_part(v.low), vector_round_bf16_part(v.high)};
}

VECTOR_INLINE void vector_store_bf16_first(uint16_t *to, enum parity parity, struct vector v, size_t count) {
    float floats[KERNEL_LANES];
    vector_store(floats, v);
    kernel_store_bf16_first(to, parity, floats, count);
}

/* NaN, whose upper half could be infinity, gets another bit. */
VECTOR_INLINE __m256i vector_bf16_bits(__m256 v) {
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    return _mm256_or_si256(_mm256_castps_si256(v), _mm256_and_si256(nan, _mm256_set1_epi32(1 << 22)));
}

VECTOR_INLINE __m256i vector_bf16_pairs(__m256 even, __m256 odd) {
    return _mm256_blend_epi16(_mm256_srli_epi32(vector_bf16_bits(even), 16), vector_bf16_bits(odd), 0xaa);
}

VECTOR_INLINE void vector_store_bf16_pairs(uint16_t *to, struct vector even, struct vector odd) {
    _mm256_storeu_si256((void *)to, vector_bf16_pairs(even.low, odd.low));
    _mm256_storeu_si256((void *)(to + KERNEL_LANES), vector_bf16_pairs(even.high, odd.high));
}

VECTOR_INLINE void vector_store_half(uint16_t *to, struct vector v) {
    _mm_storeu_si128((void *)to, _mm256_cvtps_ph(v.low, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((void *)(to + 8), _mm256_cvtps_ph(v.high, _MM_FROUND_TO_NEAREST_INT));
}

VECTOR_INLINE void vector_store_int8(int8_t *to, struct vector shifted) {
    const __m256i byte = _mm256_set1_epi32(0xff);
    __m256i low = _mm256_and_si256(_mm256_castps_si256(shifted.low), byte);
    __m256i high = _mm256_and_si256(_mm256_castps_si256(shifted.high), byte);
    /* Packing goes by halves of registers: their quarters come out of order. */
    __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
    _mm_storeu_si128((void *)to,
                     _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

VECTOR_INLINE struct vector vector_add(struct vector a, struct vector b) {
    return (struct vector){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

VECTOR_INLINE struct vector vector_subtract(struct vector a, struct vector b) {
    return (struct vector){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}

VECTOR_INLINE struct vector vector_multiply(struct vector a, struct vector b) {
    return (struct vector){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

VECTOR_INLINE struct vector vector_divide(struct vector a, struct vector b) {
    return (struct vector){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}

VECTOR_INLINE struct vector vector_fma(struct vector a, struct vector b, struct vector c) {
    return (struct vector){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

VECTOR_INLINE struct vector vector_max(struct vector a, struct vector b) {
    return (struct vector){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

VECTOR_INLINE struct vector vector_min(struct vector a, struct vector b) {
    return (struct vector){_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}

VECTOR_INLINE struct mask vector_greater(struct vector a, struct vector b) {
    return (struct mask){_mm256_castps_si256(_mm256_cmp_ps(a.low, b.low, _CMP_GT_OQ)),
                         _mm256_castps_si256(_mm256_cmp_ps(a.high, b.high, _CMP_GT_OQ))};
}

VECTOR_INLINE struct vector vector_select(struct mask m, struct vector yes, struct vector no) {
    return (struct vector){_mm256_blendv_ps(no.low, yes.low, _mm256_castsi256_ps(m.low)),
                           _mm256_blendv_ps(no.high, yes.high, _mm256_castsi256_ps(m.high))};
}

VECTOR_INLINE __m256 vector_power(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

VECTOR_INLINE __m256 vector_scale_part(__m256 v, __m256 shifted) {
    __m256i n = _mm256_sub_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(0x4b400000));
    __m256i half = _mm256_srai_epi32(n, 1);
    return _mm256_mul_ps(_mm256_mul_ps(v, vector_power(half)), vector_power(_mm256_sub_epi32(n, half)));
}

VECTOR_INLINE struct vector vector_scale_by_power(struct vector v, struct vector shifted) {
    return (struct vector){vector_scale_part(v.low, shifted.low), vector_scale_part(v.high, shifted.high)};
}

VECTOR_INLINE __m256 vector_scale_down_part(__m256 v, __m256 shifted) {
    const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(0x3f800000))));
}

VECTOR_INLINE struct vector vector_scale_down(struct vector v, struct vector shifted) {
    return (struct vector){vector_scale_down_part(v.low, shifted.low),
                           vector_scale_down_part(v.high, shifted.high)};
}

VECTOR_INLINE float vector_sum(struct vector v) {
    __m256 eight = _mm256_add_ps(v.low, v.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

VECTOR_INLINE float vector_largest(struct vector v) {
    __m256 eight = _mm256_max_ps(v.low, v.high);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

VECTOR_INLINE void vector_largest_of_four(const struct vector *v, float *largest) {
    const __m256 a = _mm256_max_ps(v[0].low, v[0].high), b = _mm256_max_ps(v[1].low, v[1].high),
                 c = _mm256_max_ps(v[2].low, v[2].high), d = _mm256_max_ps(v[3].low, v[3].high);
    const __m256 ab = _mm256_max_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31)),
                 cd = _mm256_max_ps(_mm256_permute2f128_ps(c, d, 0x20), _mm256_permute2f128_ps(c, d, 0x31));
    const __m256 two = _mm256_max_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    const __m256 one = _mm256_max_ps(_mm256_shuffle_ps(two, two, 0x88), _mm256_shuffle_ps(two, two, 0xdd));
    _mm_storeu_ps(largest, _mm_unpacklo_ps(_mm256_castps256_ps128(one), _mm256_extractf128_ps(one, 1)));
}

VECTOR_INLINE __m256 vector_larger_magnitude_part(__m256 v, __m256 largest) {
    const __m256i magnitude = _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7fffffff));
    return _mm256_castsi256_ps(_mm256_max_epu32(magnitude, _mm256_castps_si256(largest)));
}

VECTOR_INLINE struct vector vector_larger_magnitude(struct vector v, struct vector largest) {
    return (struct vector){vector_larger_magnitude_part(v.low, largest.low),
                           vector_larger_magnitude_part(v.high, largest.high)};
}

VECTOR_INLINE float vector_largest_magnitude(struct vector v) {
    const __m256i eight = _mm256_max_epu32(_mm256_castps_si256(v.low), _mm256_castps_si256(v.high));
    const __m128i four = _mm_max_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    const __m128i two = _mm_max_epu32(four, _mm_unpackhi_epi64(four, four));
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epu32(two, _mm_srli_epi64(two, 32))));
}

VECTOR_INLINE __m256 vector_add_integers_part(__m256 a, __m256 b) {
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
}

VECTOR_INLINE struct vector vector_add_integers(struct vector a, struct vector b) {
    return (struct vector){vector_add_integers_part(a.low, b.low), vector_add_integers_part(a.high, b.high)};
}

VECTOR_INLINE __m256i vector_eight_integers(struct vector v) {
    return _mm256_add_epi32(_mm256_castps_si256(v.low), _mm256_castps_si256(v.high));
}

VECTOR_INLINE uint32_t vector_sum_integers(struct vector v) {
    const __m256i eight = vector_eight_integers(v);
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(two, _mm_srli_epi64(two, 32)));
}

VECTOR_INLINE void vector_sum_integers_of_four(const struct vector *v, uint32_t *sums) {
    const __m256i ab = _mm256_hadd_epi32(vector_eight_integers(v[0]), vector_eight_integers(v[1])),
                  cd = _mm256_hadd_epi32(vector_eight_integers(v[2]), vector_eight_integers(v[3])),
                  two = _mm256_hadd_epi32(ab, cd);
    _mm_storeu_si128((void *)sums,
                     _mm_add_epi32(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1)));
}

/* Four registers: of each half the 4 x 4 lanes. */
VECTOR_INLINE void vector_transpose_halves(__m256 *v) {
    const __m256 a = _mm256_shuffle_ps(v[0], v[1], 0x44), b = _mm256_shuffle_ps(v[0], v[1], 0xee),
                 c = _mm256_shuffle_ps(v[2], v[3], 0x44), d = _mm256_shuffle_ps(v[2], v[3], 0xee);
    v[0] = _mm256_shuffle_ps(a, c, 0x88);
    v[1] = _mm256_shuffle_ps(a, c, 0xdd);
    v[2] = _mm256_shuffle_ps(b, d, 0x88);
    v[3] = _mm256_shuffle_ps(b, d, 0xdd);
}

/* Eight registers, of as many lanes: lanes within halves, then the halves of every fourth register. */
VECTOR_INLINE void vector_transpose_eight(__m256 *v) {
    vector_transpose_halves(v);
    vector_transpose_halves(v + 4);
    KERNEL_EACH (i, 4) {
        const __m256 a = v[i], b = v[i + 4];
        v[i] = _mm256_permute2f128_ps(a, b, 0x20);
        v[i + 4] = _mm256_permute2f128_ps(a, b, 0x31);
    }
}

VECTOR_INLINE void vector_transpose(struct vector *v) {
    __m256 part[4][8];
    KERNEL_EACH (i, 8) {
        part[0][i] = v[i].low;
        part[1][i] = v[i].high;
        part[2][i] = v[i + 8].low;
        part[3][i] = v[i + 8].high;
    }
    KERNEL_EACH (p, 4) vector_transpose_eight(part[p]);
    KERNEL_EACH (i, 8) {
        v[i] = (struct vector){part[0][i], part[2][i]};
        v[i + 8] = (struct vector){part[1][i], part[3][i]};
    }
}

/* ---- one register, for the microkernels of GEMMs ---- */

#define VECTOR_REGISTER __m256
#define INT_REGISTER    __m256i
#define REGISTER_LANES  8

VECTOR_INLINE __m256 register_zero(void) {
    return _mm256_setzero_ps();
}

VECTOR_INLINE __m256 register_load(const float *from) {
    return _mm256_loadu_ps(from);
}

VECTOR_INLINE void register_store(float *to, __m256 v) {
    _mm256_storeu_ps(to, v);
}

VECTOR_INLINE __m256 register_splat(const float *value) {
    return _mm256_set1_ps(*value);
}

VECTOR_INLINE __m256 register_add(__m256 a, __m256 b) {
    return _mm256_add_ps(a, b);
}

/* a * b + c, rounded once. */
VECTOR_INLINE __m256 register_fma(__m256 a, __m256 b, __m256 c) {
    return _mm256_fmadd_ps(a, b, c);
}
