/* What the files of AVX-512 share: a tile of up to 8 rows by one panel, and the choice of its rows. */
#pragma once

#include <immintrin.h>

#define NARROW_ROWS 8
#include "engine/kernel/template/lowp.h"

#define PANEL_VECTORS (KERNEL_PANEL / KERNEL_LANES)
/* How far ahead weights are asked for, in bytes: from memory, and from the second level cache. Without it a
 * few rows reach half of the memory's speed. */
#define PREFETCH_AHEAD 3072
#define PREFETCH_NEAR  768

VECTOR_INLINE __m512i load_bytes(const unsigned char *from) {
    return _mm512_loadu_si512((const void *)from);
}

VECTOR_INLINE void prefetch_bytes(const unsigned char *from) {
    _mm_prefetch((const char *)from + PREFETCH_AHEAD, _MM_HINT_T1);
    _mm_prefetch((const char *)from + PREFETCH_NEAR, _MM_HINT_T0);
}

/* Four bytes of a row of activations, in every lane. */
VECTOR_INLINE __m512i splat_bytes(const unsigned char *from) {
    int32_t four;
    memcpy(&four, from, sizeof four);
    return _mm512_set1_epi32(four);
}

/* Integer sums of sixteen columns to floats, times the scales of the weights. */
VECTOR_INLINE void scale_sums(__m512i whole, const float *scales, size_t v, float *sums) {
    const __m512 scale = _mm512_loadu_ps(scales + v * KERNEL_LANES);
    _mm512_storeu_ps(sums + v * KERNEL_LANES, _mm512_mul_ps(_mm512_cvtepi32_ps(whole), scale));
}

/* Steps and centres of sixteen columns of an int4 group, as pairs of 16 bits; and what they multiply: the
 * sums of the group over q * x and over x, which fit into 16 bits. */
VECTOR_INLINE __m512i load_int4_steps(const int8_t *steps) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)steps));
}

VECTOR_INLINE __m512i pair_sums(__m512i sums, int32_t sum_of_x) {
    return _mm512_mask_mov_epi16(sums, 0xaaaaaaaa, _mm512_set1_epi16((short)sum_of_x));
}

/* A tile function that gives `add` the number of its rows as a constant. */
#define NARROW_TILE(name, add)                                                                               \
    static void name(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,      \
                     size_t padded, float(*sums)[KERNEL_PANEL]) {                                            \
        switch (rows) {                                                                                      \
        case 1:                                                                                              \
            add(x, row_bytes, 1, panel, padded, sums);                                                       \
            break;                                                                                           \
        case 2:                                                                                              \
            add(x, row_bytes, 2, panel, padded, sums);                                                       \
            break;                                                                                           \
        case 3:                                                                                              \
            add(x, row_bytes, 3, panel, padded, sums);                                                       \
            break;                                                                                           \
        case 4:                                                                                              \
            add(x, row_bytes, 4, panel, padded, sums);                                                       \
            break;                                                                                           \
        case 5:                                                                                              \
            add(x, row_bytes, 5, panel, padded, sums);                                                       \
            break;                                                                                           \
        case 6:                                                                                              \
            add(x, row_bytes, 6, panel, padded, sums);                                                       \
            break;                                                                                           \
        case 7:                                                                                              \
            add(x, row_bytes, 7, panel, padded, sums);                                                       \
            break;                                                                                           \
        default:                                                                                             \
            add(x, row_bytes, NARROW_ROWS, panel, padded, sums);                                             \
            break;                                                                                           \
        }                                                                                                    \
    }
