/* What int4_pairs.h and int4_bytes.h need of AVX-512. */
#pragma once

#include "engine/kernel/x86/int_avx512.h"

VECTOR_INLINE __m512i int4_lower(__m512i bytes) {
    return _mm512_and_si512(bytes, _mm512_set1_epi8(15));
}

VECTOR_INLINE __m512i int4_upper(__m512i bytes) {
    return _mm512_and_si512(_mm512_srli_epi16(bytes, 4), _mm512_set1_epi8(15));
}

/* sum += weights (unsigned) . q (signed) by pairs, in 16 bits; from 0 where it starts. In assembly for the same reason as in
 * int4_avx2.h: with intrinsics 64 rows take 1.4 times as long. */
VECTOR_INLINE void int4_add_products(__m512i *sum, __m512i weights, __m512i q, bool starts) {
    __m512i products;
    if (starts)
        *sum = _mm512_maddubs_epi16(weights, q);
    else
        __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0"
                : "+v"(*sum), "=&v"(products)
                : "v"(weights), "v"(q));
}

/* As many bytes as a register has numbers of 16 bits, which they become. */
VECTOR_INLINE __m512i int4_widen(const int8_t *from) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)from));
}

/* The first of each pair of 16 bits, twice. */
VECTOR_INLINE __m512i int4_first_of_pairs(__m512i pairs) {
    return _mm512_shuffle_epi8(pairs, _mm512_set4_epi32(0x0d0c0d0c, 0x09080908, 0x05040504, 0x01000100));
}

/* Numbers that fit into 16 bits, by two. */
VECTOR_INLINE __m512i int4_join_pairs(__m512i first, __m512i second) {
    return _mm512_mask_mov_epi16(first, 0xaaaaaaaa, _mm512_slli_epi32(second, 16));
}
