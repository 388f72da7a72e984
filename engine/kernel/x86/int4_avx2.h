/* What int4_pairs.h and int4_bytes.h need of AVX2. */
#pragma once

#include "engine/kernel/x86/int_avx2.h"

VECTOR_INLINE __m256i int4_lower(__m256i bytes) {
    return _mm256_and_si256(bytes, _mm256_set1_epi8(15));
}

VECTOR_INLINE __m256i int4_upper(__m256i bytes) {
    return _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
}

/* sum += weights (unsigned) . q (signed) by pairs, in 16 bits; from 0 where it starts. In assembly, because gcc 12 makes the
 * products of many steps before it adds the first, and runs out of registers. */
VECTOR_INLINE void int4_add_products(__m256i *sum, __m256i weights, __m256i q, bool starts) {
    __m256i products;
    if (starts)
        *sum = _mm256_maddubs_epi16(weights, q);
    else
        __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0"
                : "+x"(*sum), "=&x"(products)
                : "x"(weights), "x"(q));
}

/* As many bytes as a register has numbers of 16 bits, which they become. */
VECTOR_INLINE __m256i int4_widen(const int8_t *from) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

/* The first of each pair of 16 bits, twice. */
VECTOR_INLINE __m256i int4_first_of_pairs(__m256i pairs) {
    return _mm256_shuffle_epi8(pairs, _mm256_broadcastsi128_si256(
                                          _mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13)));
}

/* Numbers that fit into 16 bits, by two. */
VECTOR_INLINE __m256i int4_join_pairs(__m256i first, __m256i second) {
    return _mm256_blend_epi16(first, _mm256_slli_epi32(second, 16), 0xaa);
}
