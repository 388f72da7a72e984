/* What the files of AVX-512 share: a tile of up to 8 rows by one panel, and the choice of its rows. */
#pragma once

#include <immintrin.h>

#define NARROW_ROWS 8
#include "engine/kernel/narrow.h"

#define PANEL_VECTORS (KERNEL_PANEL / KERNEL_LANES)
/* How far ahead weights are asked for, in bytes; without it a few rows reach half of the memory's speed. */
#define PREFETCH_AHEAD 3072

VECTOR_INLINE __m512i load_bytes(const unsigned char *from) {
    return _mm512_loadu_si512((const void *)from);
}

VECTOR_INLINE void prefetch_bytes(const unsigned char *from) {
    _mm_prefetch((const char *)from + PREFETCH_AHEAD, _MM_HINT_T1);
}

/* Four bytes of a row of activations, in every lane. */
VECTOR_INLINE __m512i splat_bytes(const unsigned char *from) {
    int32_t four;
    memcpy(&four, from, sizeof four);
    return _mm512_set1_epi32(four);
}

VECTOR_INLINE __m512 widen_bf16(const uint16_t *from) {
    __m256i narrow = _mm256_loadu_si256((const __m256i *)(const void *)from);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
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
