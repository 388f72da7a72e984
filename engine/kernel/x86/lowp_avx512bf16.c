/* GEMM of bf16 weights with AVX512-BF16. vdpbf16ps is two fused multiply-adds in a row, the upper half first,
 * and takes subnormals for 0 on both ends: kernel.h sees to it that there are none. Both halves must be of
 * one accumulator, so pairs of even and of odd k are made here of the pairs of neighbours that a panel holds. */
#include "engine/kernel/x86/int_avx512.h"

#include "engine/kernel/template/lowp.h"

#define KERNEL_SET           avx512bf16
#define BF16_ROWS            8
#define BF16_BLOCK_ROWS      4
#define BF16_REGISTERS(rows) PANEL_REGISTERS
#define BF16_ROW_BYTES       sizeof(uint16_t)
#define LINE_BYTES           (KERNEL_PANEL * 4) /* of a panel: two of k */
#define LOWER_HALVES         0x55555555         /* of pairs of 16 bits */

/* Fours (k, k+1, k+2, k+3) as (k+2, k, k+3, k+1): a pair of one parity, its earlier number in the upper half,
 * which the instruction takes first. */
static void bf16_store(unsigned char *row, size_t i, struct vector v) {
    const __m256i by_parity =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(4, 5, 0, 1, 6, 7, 2, 3, 12, 13, 8, 9, 14, 15, 10, 11));
    __m256i rounded = (__m256i)_mm512_cvtneps_pbh(v.lanes);
    _mm256_storeu_si256((__m256i *)(void *)(row + i * sizeof(uint16_t)),
                        _mm256_shuffle_epi8(rounded, by_parity));
}

/* In assembly, because gcc 12 copies every accumulator from one register to another around the intrinsic, and
 * runs out of them. */
VECTOR_INLINE void add_dot(__m512 *sum, __m512i weights, __m512i pair) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(*sum) : "v"(weights), "v"(pair));
}

/* Of two rows of pairs, (k, k+1) and (k+2, k+3): (k+2, k), as bf16_store() has them. */
VECTOR_INLINE __m512i even_pair(__m512i first, __m512i second) {
    return _mm512_mask_blend_epi16(LOWER_HALVES, _mm512_slli_epi32(first, 16), second);
}

/* (k+3, k+1) */
VECTOR_INLINE __m512i odd_pair(__m512i first, __m512i second) {
    return _mm512_mask_blend_epi16(LOWER_HALVES, first, _mm512_srli_epi32(second, 16));
}

/* A register of a panel, four k: pairs of one parity. */
struct four {
    __m512i even, odd;
};

/* unpacked: made by bf16_unpack(); else of a panel. */
VECTOR_INLINE struct four load_four(const unsigned char *from, bool unpacked) {
    const __m512i first = load_bytes(from), second = load_bytes(from + LINE_BYTES);
    if (unpacked) return (struct four){first, second};
    return (struct four){even_pair(first, second), odd_pair(first, second)};
}

/* What was unpacked a moment ago lies in the second-level cache. */
VECTOR_INLINE void prefetch_four(const unsigned char *from, const struct weight_prefetch *prefetch,
                                 bool unpacked) {
    KERNEL_EACH (line, 2) {
        if (!unpacked) weight_prefetch_alone(prefetch, from + line * LINE_BYTES, REGISTER_BYTES);
        prefetch_from_cache(from + line * LINE_BYTES);
    }
}

/* Accumulators of both parities are in registers at once: where one waits in memory for the other's pass, gcc 12 spills
 * both. rows, registers, prefetch (NULL or not) and unpacked are constants where this is inlined. */
VECTOR_INLINE void multiply_block(const unsigned char *x, size_t row_bytes, size_t rows,
                                  const unsigned char *w, size_t registers,
                                  const struct weight_prefetch *prefetch, bool unpacked,
                                  __m512 (*even)[PANEL_REGISTERS], __m512 (*odd)[PANEL_REGISTERS]) {
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) even[r][v] = odd[r][v] = register_zero();
    }
    for (size_t k = 0; k < KERNEL_BF16_BLOCK; k += 4, w += 2 * LINE_BYTES) {
        struct four weights[PANEL_REGISTERS];
        KERNEL_EACH (v, registers) {
            if (prefetch) prefetch_four(w + v * REGISTER_BYTES, prefetch, unpacked);
            weights[v] = load_four(w + v * REGISTER_BYTES, unpacked);
        }
        KERNEL_EACH (r, rows) {
            const unsigned char *four = x + r * row_bytes + k * sizeof(uint16_t);
            const __m512i even_x = splat_bytes(four), odd_x = splat_bytes(four + 2 * sizeof(uint16_t));
            KERNEL_EACH (v, registers) add_dot(&even[r][v], weights[v].even, even_x);
            KERNEL_EACH (v, registers) add_dot(&odd[r][v], weights[v].odd, odd_x);
        }
    }
}

// NOLINTBEGIN(readability-non-const-parameter): others write to keep
VECTOR_INLINE void bf16_block(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              size_t registers, unsigned char *keep, const struct weight_prefetch *prefetch,
                              __m512 (*even)[PANEL_REGISTERS], __m512 (*odd)[PANEL_REGISTERS]) {
    // NOLINTEND(readability-non-const-parameter)
    (void)keep;
    multiply_block(x, row_bytes, rows, w, registers, prefetch, false, even, odd);
}

/* Pairs of one parity made once for all tiles of a part. */
static void bf16_unpack(const struct lowp_part *part, unsigned char *to) {
    const unsigned char *from = part->weights;
    for (size_t k = part->first; k < part->end; k += 4, from += 2 * LINE_BYTES, to += 2 * LINE_BYTES) {
        KERNEL_EACH (v, PANEL_REGISTERS) {
            KERNEL_EACH (line, 2) prefetch_weights(from + v * REGISTER_BYTES + line * LINE_BYTES);
            const struct four weights = load_four(from + v * REGISTER_BYTES, false);
            _mm512_store_si512((void *)(to + v * REGISTER_BYTES), weights.even);
            _mm512_store_si512((void *)(to + v * REGISTER_BYTES + LINE_BYTES), weights.odd);
        }
    }
}

// NOLINTBEGIN(readability-non-const-parameter): others write to keep
VECTOR_INLINE void bf16_unpacked_block(const unsigned char *x, size_t row_bytes, size_t rows,
                                       const unsigned char *w, size_t registers, unsigned char *keep,
                                       const struct weight_prefetch *prefetch,
                                       __m512 (*even)[PANEL_REGISTERS], __m512 (*odd)[PANEL_REGISTERS]) {
    // NOLINTEND(readability-non-const-parameter)
    (void)keep;
    multiply_block(x, row_bytes, rows, w, registers, prefetch, true, even, odd);
}
#define BF16_UNPACK   bf16_unpack
#define BF16_FEW_ROWS 64

#include "engine/kernel/template/lowp_bf16.h"

_Static_assert(BF16_ROWS == KERNEL_ROWS_bf16_avx512bf16, "as in kernels.def");
