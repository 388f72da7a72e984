/* Narrow weights with AVX-512 (F, BW, DQ, VL) alone. */
#include "engine/kernel/x86/vector_avx512.h"
#include "engine/kernel/x86/lowp_avx512.h"

/* To nearest even on the upper half of the bits; NaN stays as it is. */
static void store_bf16(unsigned char *row, size_t i, struct vector v) {
    __m512i bits = _mm512_castps_si512(v.lanes), odd = _mm512_srli_epi32(_mm512_slli_epi32(bits, 15), 31);
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    rounded = _mm512_and_si512(rounded, _mm512_set1_epi32((int)0xffff0000u));
    rounded = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(v.lanes, v.lanes, _CMP_UNORD_Q), bits);
    vector_store((float *)(void *)row + i, (struct vector){_mm512_castsi512_ps(rounded)});
}

void convert_bf16_avx512(const struct activation_rows *rows, size_t row_first, size_t row_count) {
    convert_rows_bf16(rows, row_first, row_count, store_bf16);
}

enum parity { EVEN, ODD };

/* The weights of even or of odd k among sixteen pairs, as floats. */
VECTOR_INLINE struct vector widen_half(__m512i pairs, enum parity parity) {
    return (struct vector){
        _mm512_castsi512_ps(parity == ODD ? _mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000u))
                                          : _mm512_slli_epi32(pairs, 16))};
}

/* The chains of even or of odd k of one block. rows is a constant where this is inlined, here and below. */
VECTOR_INLINE void chain_bf16(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              enum parity parity, struct vector (*chain)[PANEL_VECTORS]) {
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, PANEL_VECTORS) chain[r][v] = vector_splat(0.0f);
    }
    for (size_t k = parity; k < KERNEL_BF16_BLOCK; k += 2, w += KERNEL_PANEL * 4) {
        struct vector weight[PANEL_VECTORS];
        KERNEL_EACH (v, PANEL_VECTORS) {
            if (parity == EVEN) prefetch_bytes(w + v * 64);
            weight[v] = widen_half(load_bytes(w + v * 64), parity);
        }
        KERNEL_EACH (r, rows) {
            const float *value = (const float *)(const void *)(x + r * row_bytes) + k;
            const struct vector splat = vector_splat(*value);
            KERNEL_EACH (v, PANEL_VECTORS) chain[r][v] = vector_fma(splat, weight[v], chain[r][v]);
        }
    }
}

VECTOR_INLINE void add_bf16(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                            size_t padded, float (*sums)[KERNEL_PANEL]) {
    memset(sums, 0, rows * sizeof sums[0]);
    for (size_t k = 0; k < padded; k += KERNEL_BF16_BLOCK) {
        struct vector even[NARROW_ROWS][PANEL_VECTORS], odd[NARROW_ROWS][PANEL_VECTORS];
        chain_bf16(x + k * sizeof(float), row_bytes, rows, w + k * KERNEL_PANEL * 2, EVEN, even);
        chain_bf16(x + k * sizeof(float), row_bytes, rows, w + k * KERNEL_PANEL * 2, ODD, odd);
        KERNEL_EACH (r, rows) {
            KERNEL_EACH (v, PANEL_VECTORS) {
                float *to = sums[r] + v * KERNEL_LANES;
                vector_store(to, vector_add(vector_load(to), vector_add(even[r][v], odd[r][v])));
            }
        }
    }
}

/* As in lowp_avx2.c: the magnitude of the weight is one factor and its sign goes to the other, so that
 * vpmaddubsw never saturates. */
VECTOR_INLINE void add_int8(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                            size_t padded, float (*sums)[KERNEL_PANEL]) {
    __m512i sum[NARROW_ROWS][PANEL_VECTORS];
    const float *scales = (const float *)(const void *)(w + padded * KERNEL_PANEL);
    const __m512i offset = _mm512_set1_epi8((char)0x80), ones = _mm512_set1_epi16(1);
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, PANEL_VECTORS) sum[r][v] = _mm512_setzero_si512();
    }
    for (size_t k = 0; k < padded; k += 4, w += KERNEL_PANEL * 4) {
        KERNEL_EACH (v, PANEL_VECTORS) {
            prefetch_bytes(w + v * 64);
            const __m512i weight = _mm512_xor_si512(load_bytes(w + v * 64), offset);
            const __m512i magnitude = _mm512_abs_epi8(weight);
            const __mmask64 negative = _mm512_movepi8_mask(weight);
            KERNEL_EACH (r, rows) {
                const __m512i q = splat_bytes(x + r * row_bytes + k);
                const __m512i signs = _mm512_mask_sub_epi8(q, negative, _mm512_setzero_si512(), q);
                const __m512i pairs = _mm512_maddubs_epi16(magnitude, signs);
                sum[r][v] = _mm512_add_epi32(sum[r][v], _mm512_madd_epi16(pairs, ones));
            }
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, PANEL_VECTORS) scale_sums(sum[r][v], scales, v, sums[r]);
    }
}

/* One group of one row; eight pairs of products of at most 15 * 127 fit into 16 bits. */
VECTOR_INLINE void add_group(const unsigned char *x, const unsigned char *w, int32_t group,
                             const int8_t *steps, __m512i *sum) {
    const __m512i low_half = _mm512_set1_epi8(15), offset = _mm512_set1_epi32(8 * group);
    KERNEL_EACH (v, PANEL_VECTORS) {
        __m512i pairs = _mm512_setzero_si512();
        KERNEL_EACH (s, KERNEL_INT4_GROUP / 8) {
            const __m512i packed = load_bytes(w + (s * PANEL_VECTORS + v) * 64);
            const __m512i low = _mm512_and_si512(packed, low_half);
            const __m512i high = _mm512_and_si512(_mm512_srli_epi16(packed, 4), low_half);
            pairs = _mm512_add_epi16(pairs, _mm512_maddubs_epi16(low, splat_bytes(x + 4 * s)));
            pairs = _mm512_add_epi16(
                pairs, _mm512_maddubs_epi16(high, splat_bytes(x + KERNEL_INT4_GROUP / 2 + 4 * s)));
        }
        __m512i whole = _mm512_sub_epi32(_mm512_madd_epi16(pairs, _mm512_set1_epi16(1)), offset);
        whole = _mm512_madd_epi16(pair_sums(whole, group), load_int4_steps(steps + v * 2 * KERNEL_LANES));
        sum[v] = _mm512_add_epi32(sum[v], whole);
    }
}

static void tile_int4(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                      size_t padded, float (*sums)[KERNEL_PANEL]) {
    (void)row_bytes, (void)rows;
    const struct narrow_int4 w = narrow_int4(panel, padded);
    __m512i sum[PANEL_VECTORS];
    KERNEL_EACH (v, PANEL_VECTORS) sum[v] = _mm512_setzero_si512();
    for (size_t g = 0; g < padded / KERNEL_INT4_GROUP; g++)
        add_group(x + g * KERNEL_INT4_GROUP, panel + g * KERNEL_INT4_GROUP / 2 * KERNEL_PANEL,
                  narrow_sum(x, padded, 1 + g), w.steps + g * KERNEL_PANEL * 2, sum);
    KERNEL_EACH (v, PANEL_VECTORS) scale_sums(sum[v], w.scales, v, sums[0]);
}

NARROW_TILE(tile_bf16, add_bf16)
NARROW_TILE(tile_int8, add_int8)
NARROW_DEFINE(gemm_bf16_avx512, WEIGHT_TYPE_BF16, tile_bf16, KERNEL_ROWS_bf16_avx512)
NARROW_DEFINE(gemm_int8_avx512, WEIGHT_TYPE_INT8, tile_int8, KERNEL_ROWS_int8_avx512)
NARROW_DEFINE(gemm_int4_avx512, WEIGHT_TYPE_INT4, tile_int4, KERNEL_ROWS_int4_avx512)
