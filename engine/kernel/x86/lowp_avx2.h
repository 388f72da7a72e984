/* What low-precision weights need of registers of 256 bits: lowp_avx2.c and lowp_avxvnni.c. */
#pragma once

#include "engine/kernel/x86/vector_avx2.h"

#define NARROW_ROWS 4
#include "engine/kernel/template/lowp.h"

#define PART_LANES 8 /* columns of a register of sums */

VECTOR_INLINE __m256i load_bytes(const unsigned char *from) {
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

/* Four bytes of a row of activations, in every lane. */
VECTOR_INLINE __m256i splat_bytes(const unsigned char *from) {
    int32_t four;
    memcpy(&four, from, sizeof four);
    return _mm256_set1_epi32(four);
}

/* Integer sums of eight columns to floats, times the scales of the weights. */
VECTOR_INLINE void scale_sums(__m256i whole, const float *scales, size_t column, float *sums) {
    const __m256 scale = _mm256_loadu_ps(scales + column);
    _mm256_storeu_ps(sums + column, _mm256_mul_ps(_mm256_cvtepi32_ps(whole), scale));
}

/* Steps and centres of eight columns of an int4 group, as pairs of 16 bits; and what they multiply: the sums
 * of the group over q * x and over x, which fit into 16 bits. */
VECTOR_INLINE __m256i load_int4_steps(const int8_t *steps) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)steps));
}

VECTOR_INLINE __m256i pair_sums(__m256i sums, int32_t sum_of_x) {
    return _mm256_blend_epi16(sums, _mm256_set1_epi16((short)sum_of_x), 0xaa);
}
