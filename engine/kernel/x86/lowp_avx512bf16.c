/* bf16 weights with AVX512-BF16. vdpbf16ps is a chain of two fused multiply-adds, the upper half first, that
 * takes subnormals for 0 on both ends: kernel.h sees to it that there are none. Both halves must be of one
 * chain, so pairs of even and of odd k are made here of the pairs of neighbours that a panel holds. */
#include "engine/kernel/x86/vector_avx512.h"
#include "engine/kernel/x86/lowp_avx512.h"

/* Fours (k, k+1, k+2, k+3) as (k+2, k, k+3, k+1): a pair of one parity, its earlier number in the upper half,
 * which the instruction takes first. */
static void store_bf16(unsigned char *row, size_t i, struct vector v) {
    const __m256i by_parity =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(4, 5, 0, 1, 6, 7, 2, 3, 12, 13, 8, 9, 14, 15, 10, 11));
    __m256i narrow = (__m256i)_mm512_cvtneps_pbh(v.lanes);
    _mm256_storeu_si256((__m256i *)(void *)(row + i * sizeof(uint16_t)),
                        _mm256_shuffle_epi8(narrow, by_parity));
}

void convert_bf16_avx512bf16(const struct activation_rows *rows, size_t row_first, size_t row_count) {
    convert_rows_bf16(rows, row_first, row_count, store_bf16);
}

/* Said in assembly, because gcc 12 copies every sum from one register to another around the intrinsic, and
 * runs out of them. */
VECTOR_INLINE void add_dot(__m512 *sum, __m512i weights, __m512i pair) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(*sum) : "v"(weights), "v"(pair));
}

enum parity { EVEN, ODD };

/* Of two rows of pairs, (k, k+1) and (k+2, k+3): (k+2, k) or (k+3, k+1), as store_bf16() has them. */
VECTOR_INLINE __m512i pair_of(__m512i first, __m512i second, enum parity parity) {
    const __mmask32 lower = 0x55555555;
    return parity == EVEN ? _mm512_mask_blend_epi16(lower, _mm512_slli_epi32(first, 16), second)
                          : _mm512_mask_blend_epi16(lower, first, _mm512_srli_epi32(second, 16));
}

/* The chains of even or of odd k of one block. rows is a constant where this is inlined, here and below. */
VECTOR_INLINE void chain_bf16(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              enum parity parity, __m512 (*chain)[PANEL_VECTORS]) {
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, PANEL_VECTORS) chain[r][v] = _mm512_setzero_ps();
    }
    for (size_t k = 0; k < KERNEL_BF16_BLOCK; k += 4, w += 2 * KERNEL_PANEL * 4) {
        __m512i weight[PANEL_VECTORS];
        KERNEL_EACH (v, PANEL_VECTORS) {
            const unsigned char *first = w + v * 64, *second = first + KERNEL_PANEL * 4;
            if (parity == EVEN) {
                prefetch_bytes(first);
                prefetch_bytes(second);
            }
            weight[v] = pair_of(load_bytes(first), load_bytes(second), parity);
        }
        KERNEL_EACH (r, rows) {
            const __m512i pair = splat_bytes(x + r * row_bytes + (k + 2 * parity) * sizeof(uint16_t));
            KERNEL_EACH (v, PANEL_VECTORS) add_dot(&chain[r][v], weight[v], pair);
        }
    }
}

VECTOR_INLINE void add_bf16(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                            size_t padded, float (*sums)[KERNEL_PANEL]) {
    memset(sums, 0, rows * sizeof sums[0]);
    for (size_t k = 0; k < padded; k += KERNEL_BF16_BLOCK) {
        __m512 even[NARROW_ROWS][PANEL_VECTORS], odd[NARROW_ROWS][PANEL_VECTORS];
        chain_bf16(x + k * sizeof(uint16_t), row_bytes, rows, w + k * KERNEL_PANEL * 2, EVEN, even);
        chain_bf16(x + k * sizeof(uint16_t), row_bytes, rows, w + k * KERNEL_PANEL * 2, ODD, odd);
        KERNEL_EACH (r, rows) {
            KERNEL_EACH (v, PANEL_VECTORS) {
                float *to = sums[r] + v * KERNEL_LANES;
                const __m512 block = _mm512_add_ps(even[r][v], odd[r][v]);
                _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), block));
            }
        }
    }
}

NARROW_TILE(tile_bf16, add_bf16)
NARROW_DEFINE(gemm_bf16_avx512bf16, WEIGHT_TYPE_BF16, tile_bf16, KERNEL_ROWS_bf16_avx512bf16)
