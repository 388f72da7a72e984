/* Narrow integer weights with AVX-512 VNNI: vpdpbusd multiplies unsigned weights by signed activations. The
 * offset of the weights (128, or 8) is taken out at the start of each sum, as it is the same for all columns:
 * minus offset times the sum of the activations. Sums of 32 bits wrap and come back: only their end counts.
 */
#include "engine/kernel/x86/vector_avx512.h"
#include "engine/kernel/x86/lowp_avx512.h"

/* sum += weights (unsigned) . q (signed), by fours. Said in assembly, because gcc 12 copies every sum from
 * one register to another around the intrinsic, and runs out of them. */
VECTOR_INLINE void add_dot(__m512i *sum, __m512i weights, __m512i q) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(weights), "v"(q));
}

/* sum += a . b, by pairs of 16 bits. */
VECTOR_INLINE void add_pairs(__m512i *sum, __m512i a, __m512i b) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
}

/* rows is a constant where this is inlined, here and below. */
VECTOR_INLINE void add_int8(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                            size_t padded, float (*sums)[KERNEL_PANEL]) {
    __m512i sum[NARROW_ROWS][PANEL_VECTORS], weight[PANEL_VECTORS];
    const float *scales = (const float *)(const void *)(w + padded * KERNEL_PANEL);
    KERNEL_EACH (r, rows) {
        const __m512i start = _mm512_set1_epi32(-128 * narrow_sum(x + r * row_bytes, padded, 0));
        KERNEL_EACH (v, PANEL_VECTORS) sum[r][v] = start;
    }
    for (size_t k = 0; k < padded; k += 4, w += KERNEL_PANEL * 4) {
        KERNEL_EACH (v, PANEL_VECTORS) {
            prefetch_bytes(w + v * 64);
            weight[v] = load_bytes(w + v * 64);
        }
        KERNEL_EACH (r, rows) {
            const __m512i q = splat_bytes(x + r * row_bytes + k);
            KERNEL_EACH (v, PANEL_VECTORS) add_dot(&sum[r][v], weight[v], q);
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, PANEL_VECTORS) scale_sums(sum[r][v], scales, v, sums[r]);
    }
}

/* Exact sums of one group. */
VECTOR_INLINE void add_group(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                             __m512i (*sum)[PANEL_VECTORS]) {
    const __m512i low_half = _mm512_set1_epi8(15);
    KERNEL_EACH (s, KERNEL_INT4_GROUP / 8) {
        __m512i low[PANEL_VECTORS], high[PANEL_VECTORS];
        KERNEL_EACH (v, PANEL_VECTORS) {
            prefetch_bytes(w + (s * PANEL_VECTORS + v) * 64);
            const __m512i packed = load_bytes(w + (s * PANEL_VECTORS + v) * 64);
            low[v] = _mm512_and_si512(packed, low_half);
            high[v] = _mm512_and_si512(_mm512_srli_epi16(packed, 4), low_half);
        }
        KERNEL_EACH (r, rows) {
            const __m512i q = splat_bytes(x + r * row_bytes + 4 * s);
            KERNEL_EACH (v, PANEL_VECTORS) add_dot(&sum[r][v], low[v], q);
        }
        KERNEL_EACH (r, rows) {
            const __m512i q = splat_bytes(x + r * row_bytes + KERNEL_INT4_GROUP / 2 + 4 * s);
            KERNEL_EACH (v, PANEL_VECTORS) add_dot(&sum[r][v], high[v], q);
        }
    }
}

VECTOR_INLINE void add_int4(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                            size_t padded, float (*sums)[KERNEL_PANEL]) {
    const struct narrow_int4 w = narrow_int4(panel, padded);
    __m512i total[NARROW_ROWS][PANEL_VECTORS];
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, PANEL_VECTORS) total[r][v] = _mm512_setzero_si512();
    }
    for (size_t g = 0; g < padded / KERNEL_INT4_GROUP; g++) {
        __m512i sum[NARROW_ROWS][PANEL_VECTORS];
        KERNEL_EACH (r, rows) {
            const __m512i start = _mm512_set1_epi32(-8 * narrow_sum(x + r * row_bytes, padded, 1 + g));
            KERNEL_EACH (v, PANEL_VECTORS) sum[r][v] = start;
        }
        add_group(x + g * KERNEL_INT4_GROUP, row_bytes, rows,
                  panel + g * KERNEL_INT4_GROUP / 2 * KERNEL_PANEL, sum);
        KERNEL_EACH (v, PANEL_VECTORS) {
            const __m512i step = load_int4_steps(w.steps + (g * PANEL_VECTORS + v) * 2 * KERNEL_LANES);
            KERNEL_EACH (r, rows) {
                const __m512i pair = pair_sums(sum[r][v], narrow_sum(x + r * row_bytes, padded, 1 + g));
                add_pairs(&total[r][v], pair, step);
            }
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, PANEL_VECTORS) scale_sums(total[r][v], w.scales, v, sums[r]);
    }
}

NARROW_TILE(tile_int8, add_int8)
NARROW_TILE(tile_int4, add_int4)
NARROW_DEFINE(gemm_int8_avx512vnni, WEIGHT_TYPE_INT8, tile_int8, KERNEL_ROWS_int8_avx512vnni)
NARROW_DEFINE(gemm_int4_avx512vnni, WEIGHT_TYPE_INT4, tile_int4, KERNEL_ROWS_int4_avx512vnni)
