/* Integers in registers of 256 bits: what lowp_int.h needs that AVX2 and AVX-VNNI have in common. */
#pragma once

#include "engine/kernel/x86/vector_avx2.h"

VECTOR_INLINE __m256i load_bytes(const unsigned char *from) {
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

VECTOR_INLINE void store_bytes(unsigned char *to, __m256i bytes) {
    _mm256_storeu_si256((__m256i *)(void *)to, bytes);
}

/* Four bytes of a row of activations, in every lane. */
VECTOR_INLINE __m256i splat_bytes(const unsigned char *from) {
    int32_t four;
    memcpy(&four, from, sizeof four);
    return _mm256_set1_epi32(four);
}

VECTOR_INLINE __m256i int_splat(int32_t value) {
    return _mm256_set1_epi32(value);
}

VECTOR_INLINE __m256i int_add(__m256i a, __m256i b) {
    return _mm256_add_epi32(a, b);
}

/* Products of signed 16 bits, added by pairs. */
VECTOR_INLINE __m256i int_add_pairs(__m256i a, __m256i b) {
    return _mm256_madd_epi16(a, b);
}

VECTOR_INLINE __m256i int_load(const float *sums) {
    return _mm256_loadu_si256((const __m256i *)(const void *)sums);
}

VECTOR_INLINE void int_keep(__m256i sum, float *sums) {
    _mm256_storeu_si256((__m256i *)(void *)sums, sum);
}

VECTOR_INLINE __m256 int_scaled(__m256i whole, const float *scales) {
    return _mm256_mul_ps(_mm256_cvtepi32_ps(whole), _mm256_loadu_ps(scales));
}

VECTOR_INLINE void int_store(__m256i whole, const float *scales, float *sums) {
    _mm256_storeu_ps(sums, int_scaled(whole, scales));
}

VECTOR_INLINE void int_add_scaled(__m256i whole, const float *scales, float scale, bool starts, float *sums) {
    const __m256 sum = starts ? _mm256_setzero_ps() : _mm256_loadu_ps(sums);
    _mm256_storeu_ps(sums, _mm256_fmadd_ps(int_scaled(whole, scales), _mm256_set1_ps(scale), sum));
}
