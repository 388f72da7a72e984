/* bf16 weights with AVX512-BF16. vdpbf16ps is a chain of two fused multiply-adds, the odd one first, that
 * takes subnormals for 0 on both ends: kernel.h sees to it that there are none. */
#include "engine/kernel/isa.h"

#if defined(__x86_64__)
#include "engine/kernel/vector_avx512.h"
#include "engine/kernel/narrow_tile.h"

static void store_bf16(unsigned char *row, size_t i, struct vector v) {
    __m256i narrow = (__m256i)_mm512_cvtneps_pbh(v.lanes);
    _mm256_storeu_si256((__m256i *)(void *)(row + i * sizeof(uint16_t)), narrow);
}

void prepare_bf16_avx512bf16(const struct narrow_rows *rows, size_t row_first, size_t row_count) {
    narrow_round(rows, row_first, row_count, store_bf16);
}

/* Said in assembly, because gcc 12 copies every sum from one register to another around the intrinsic, and
 * runs out of them. */
VECTOR_INLINE void add_dot(__m512 *sum, __m512i weights, __m512i pair) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(*sum) : "v"(weights), "v"(pair));
}

/* rows is a constant where this is inlined. */
VECTOR_INLINE void add_bf16(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                            size_t padded, float (*sums)[KERNEL_PANEL]) {
    __m512 sum[NARROW_ROWS][PANEL_VECTORS];
    __m512i weight[PANEL_VECTORS];
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, PANEL_VECTORS) sum[r][v] = _mm512_setzero_ps();
    }
    for (size_t k = 0; k < padded; k += 2, w += KERNEL_PANEL * 4) {
        KERNEL_EACH (v, PANEL_VECTORS) {
            prefetch_bytes(w + v * 64);
            weight[v] = load_bytes(w + v * 64);
        }
        KERNEL_EACH (r, rows) {
            const __m512i pair = splat_bytes(x + r * row_bytes + k * sizeof(uint16_t));
            KERNEL_EACH (v, PANEL_VECTORS) add_dot(&sum[r][v], weight[v], pair);
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, PANEL_VECTORS) _mm512_storeu_ps(sums[r] + v * KERNEL_LANES, sum[r][v]);
    }
}

NARROW_TILE(tile_bf16, add_bf16)
NARROW_DEFINE(matmul_bf16_avx512bf16, WEIGHT_TYPE_BF16, tile_bf16, NARROW_ROWS)
#endif
