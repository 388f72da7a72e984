/* GEMM of bf16 weights with AVX512-BF16. vdpbf16ps is two fused multiply-adds in a row, the upper half first,
 * and takes subnormals for 0 on both ends: kernel.h sees to it that there are none. Both halves must be of
 * one accumulator, so pairs of even and of odd k are made here of the pairs of neighbours that a panel holds. */
#include "engine/kernel/x86/int_avx512.h"

#define KERNEL_SET           avx512bf16
#define BF16_ROWS            8
#define BF16_REGISTERS(rows) PANEL_REGISTERS
#define BF16_ROW_BYTES       sizeof(uint16_t)
#include "engine/kernel/x86/bf16_parity.h"

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

/* Of two rows of pairs, (k, k+1) and (k+2, k+3): (k+2, k) or (k+3, k+1), as bf16_store() has them. */
VECTOR_INLINE __m512i pair_of(__m512i first, __m512i second, enum parity parity) {
    const __mmask32 lower = 0x55555555;
    return parity == EVEN ? _mm512_mask_blend_epi16(lower, _mm512_slli_epi32(first, 16), second)
                          : _mm512_mask_blend_epi16(lower, first, _mm512_srli_epi32(second, 16));
}

/* rows and registers are constants where this is inlined. */
VECTOR_INLINE void bf16_accumulate(const unsigned char *x, size_t row_bytes, size_t rows,
                                   const unsigned char *w, size_t registers, enum parity parity,
                                   const struct weight_prefetch *prefetch, __m512 (*sum)[PANEL_REGISTERS]) {
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) sum[r][v] = register_zero();
    }
    for (size_t k = 0; k < KERNEL_BF16_BLOCK; k += 4, w += 2 * KERNEL_PANEL * 4) {
        __m512i weight[PANEL_REGISTERS];
        KERNEL_EACH (v, registers) {
            const unsigned char *first = w + v * REGISTER_BYTES, *second = first + KERNEL_PANEL * 4;
            if (parity == EVEN) {
                weight_prefetch_alone(prefetch, first, REGISTER_BYTES);
                weight_prefetch_alone(prefetch, second, REGISTER_BYTES);
                prefetch_from_cache(first);
                prefetch_from_cache(second);
            }
            weight[v] = pair_of(load_bytes(first), load_bytes(second), parity);
        }
        KERNEL_EACH (r, rows) {
            const __m512i pair = splat_bytes(x + r * row_bytes + (k + 2 * parity) * sizeof(uint16_t));
            KERNEL_EACH (v, registers) add_dot(&sum[r][v], weight[v], pair);
        }
    }
}

#include "engine/kernel/template/lowp_bf16.h"

_Static_assert(BF16_ROWS == KERNEL_ROWS_bf16_avx512bf16, "as in kernels.def");
