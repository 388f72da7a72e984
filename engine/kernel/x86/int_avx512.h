/* Weights in registers of 512 bits, and integers in them: what lowp_int.h and the GEMMs of bf16 need that all
 * sets of AVX-512 have in common. */
#pragma once

#include "engine/kernel/x86/vector_avx512.h"

/* Prefetch distances in bytes: from memory, and from the second-level cache. Without them a few rows reach
 * half of the memory's speed. A set may have another distance from memory. */
#ifndef PREFETCH_MEMORY_DISTANCE
#define PREFETCH_MEMORY_DISTANCE 3072
#endif
#define PREFETCH_L2_DISTANCE 768

VECTOR_INLINE __m512i load_bytes(const unsigned char *from) {
    return _mm512_loadu_si512((const void *)from);
}

VECTOR_INLINE void store_bytes(unsigned char *to, __m512i bytes) {
    _mm512_storeu_si512((void *)to, bytes);
}

VECTOR_INLINE void prefetch_from_cache(const unsigned char *from) {
    _mm_prefetch((const char *)from + PREFETCH_L2_DISTANCE, _MM_HINT_T0);
}

VECTOR_INLINE void prefetch_weights(const unsigned char *from) {
    _mm_prefetch((const char *)from + PREFETCH_MEMORY_DISTANCE, _MM_HINT_T1);
    prefetch_from_cache(from);
}

/* Four bytes of a row of activations, in every lane. */
VECTOR_INLINE __m512i splat_bytes(const unsigned char *from) {
    int32_t four;
    memcpy(&four, from, sizeof four);
    return _mm512_set1_epi32(four);
}

VECTOR_INLINE __m512i int_splat(int32_t value) {
    return _mm512_set1_epi32(value);
}

VECTOR_INLINE __m512i int_add(__m512i a, __m512i b) {
    return _mm512_add_epi32(a, b);
}

/* Products of signed 16 bits, added by pairs. */
VECTOR_INLINE __m512i int_add_pairs(__m512i a, __m512i b) {
    return _mm512_madd_epi16(a, b);
}

VECTOR_INLINE __m512i int_load(const float *sums) {
    return _mm512_loadu_si512((const void *)sums);
}

VECTOR_INLINE void int_keep(__m512i sum, float *sums) {
    _mm512_storeu_si512((void *)sums, sum);
}

VECTOR_INLINE __m512 int_scaled(__m512i whole, const float *scales) {
    return _mm512_mul_ps(_mm512_cvtepi32_ps(whole), _mm512_loadu_ps(scales));
}

VECTOR_INLINE void int_store(__m512i whole, const float *scales, float *sums) {
    _mm512_storeu_ps(sums, int_scaled(whole, scales));
}

VECTOR_INLINE void int_add_scaled(__m512i whole, const float *scales, float scale, bool starts, float *sums) {
    const __m512 sum = starts ? _mm512_setzero_ps() : _mm512_loadu_ps(sums);
    _mm512_storeu_ps(sums, _mm512_fmadd_ps(int_scaled(whole, scales), _mm512_set1_ps(scale), sum));
}
