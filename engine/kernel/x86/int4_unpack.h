/* int4 weights unpacked to bytes, in the order of an int8 panel, with AVX-512. */
#pragma once

#include "engine/kernel/x86/int_avx512.h"

#define INT4_LINE_BYTES  (KERNEL_PANEL * 4)      /* four of k of a panel of int8, eight of one of int4 */
#define INT4_GROUP_LINES (KERNEL_INT4_GROUP / 4) /* of int8 */

/* Sixteen columns of a group: scale * q + offset + added from q + 8, as (q + 8) * scale - (8 scale - offset -
 * added). No product exceeds a byte, so two of them fit into one multiplication of 16 bits. */
VECTOR_INLINE void int4_unpack_columns(const unsigned char *packed, const int8_t *groups, int8_t added,
                                       unsigned char *to) {
    const __m512i low_half = _mm512_set1_epi8(15), low_bytes = _mm512_set1_epi16(255);
    const __m512i pair = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)groups));
    const __m512i scale = _mm512_shuffle_epi8(pair, _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0));
    const __m512i offset =
        _mm512_shuffle_epi8(pair, _mm512_set4_epi32(0x0d0d0d0d, 0x09090909, 0x05050505, 0x01010101));
    const __m512i factor = _mm512_and_si512(scale, low_bytes);
    const __m512i subtracted =
        _mm512_sub_epi8(_mm512_sub_epi8(_mm512_slli_epi16(scale, 3), offset), _mm512_set1_epi8(added));
    KERNEL_EACH (line, INT4_GROUP_LINES / 2) {
        const __m512i bytes = load_bytes(packed + line * INT4_LINE_BYTES);
        const __m512i low = _mm512_and_si512(bytes, low_half);
        const __m512i high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low_half);
        unsigned char *low_to = to + line * INT4_LINE_BYTES,
                      *high_to = low_to + INT4_GROUP_LINES / 2 * INT4_LINE_BYTES;
        _mm512_store_si512((void *)low_to, _mm512_sub_epi8(_mm512_mullo_epi16(low, factor), subtracted));
        _mm512_store_si512((void *)high_to, _mm512_sub_epi8(_mm512_mullo_epi16(high, factor), subtracted));
    }
}

/* The next group of a panel; `to` has KERNEL_INT4_GROUP * 48 aligned bytes. */
VECTOR_INLINE void int4_unpack_group(const unsigned char *packed, const int8_t *groups, int8_t added,
                                     unsigned char *to) {
    KERNEL_EACH (column, KERNEL_PANEL / KERNEL_LANES)
        int4_unpack_columns(packed + column * 64, groups + column * 2 * KERNEL_LANES, added,
                            to + column * 64);
}
