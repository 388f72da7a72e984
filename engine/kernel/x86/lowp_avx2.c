/* Narrow weights with AVX2 and FMA: tiles of up to 4 rows by half a panel (bf16) or a row by half a panel. */
#include "engine/kernel/x86/lowp_avx2.h"

#define HALF_PANEL   (KERNEL_PANEL / 2)
#define HALF_VECTORS 3 /* of eight lanes */

/* To nearest even on the upper half of the bits; NaN stays as it is. */
VECTOR_INLINE __m256 round_bf16(__m256 v) {
    __m256i bits = _mm256_castps_si256(v), odd = _mm256_srli_epi32(_mm256_slli_epi32(bits, 15), 31);
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    rounded = _mm256_and_si256(rounded, _mm256_set1_epi32((int)0xffff0000u));
    return _mm256_blendv_ps(_mm256_castsi256_ps(rounded), v, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
}

static void store_bf16(unsigned char *row, size_t i, struct vector v) {
    vector_store((float *)(void *)row + i, (struct vector){round_bf16(v.low), round_bf16(v.high)});
}

void convert_bf16_avx2(const struct activation_rows *rows, size_t row_first, size_t row_count) {
    convert_rows_bf16(rows, row_first, row_count, store_bf16);
}

enum parity { EVEN, ODD };

/* The weights of even or of odd k among eight pairs, as floats. */
VECTOR_INLINE __m256 widen_half(__m256i pairs, enum parity parity) {
    return _mm256_castsi256_ps(parity == ODD ? _mm256_and_si256(pairs, _mm256_set1_epi32((int)0xffff0000u))
                                             : _mm256_slli_epi32(pairs, 16));
}

/* The chains of even or of odd k of one block. rows is a constant where this is inlined, here and below. */
VECTOR_INLINE void chain_bf16(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              enum parity parity, __m256 (*chain)[HALF_VECTORS]) {
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, HALF_VECTORS) chain[r][v] = _mm256_setzero_ps();
    }
    for (size_t k = parity; k < KERNEL_BF16_BLOCK; k += 2, w += KERNEL_PANEL * 4) {
        KERNEL_EACH (v, HALF_VECTORS) {
            const __m256 weight = widen_half(load_bytes(w + v * 32), parity);
            KERNEL_EACH (r, rows) {
                const float *value = (const float *)(const void *)(x + r * row_bytes) + k;
                chain[r][v] = _mm256_fmadd_ps(_mm256_set1_ps(*value), weight, chain[r][v]);
            }
        }
    }
}

VECTOR_INLINE void add_bf16(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                            size_t padded, float (*sums)[KERNEL_PANEL], size_t column) {
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, HALF_VECTORS) _mm256_storeu_ps(&sums[r][column + v * 8], _mm256_setzero_ps());
    }
    w += column * 4;
    for (size_t k = 0; k < padded; k += KERNEL_BF16_BLOCK) {
        __m256 even[NARROW_ROWS][HALF_VECTORS], odd[NARROW_ROWS][HALF_VECTORS];
        chain_bf16(x + k * sizeof(float), row_bytes, rows, w + k * KERNEL_PANEL * 2, EVEN, even);
        chain_bf16(x + k * sizeof(float), row_bytes, rows, w + k * KERNEL_PANEL * 2, ODD, odd);
        KERNEL_EACH (r, rows) {
            KERNEL_EACH (v, HALF_VECTORS) {
                float *to = &sums[r][column + v * 8];
                _mm256_storeu_ps(to,
                                 _mm256_add_ps(_mm256_loadu_ps(to), _mm256_add_ps(even[r][v], odd[r][v])));
            }
        }
    }
}

static void tile_bf16(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                      size_t padded, float (*sums)[KERNEL_PANEL]) {
    for (size_t column = 0; column < KERNEL_PANEL; column += HALF_PANEL) {
        if (rows == 1)
            add_bf16(x, row_bytes, 1, panel, padded, sums, column);
        else if (rows == 2)
            add_bf16(x, row_bytes, 2, panel, padded, sums, column);
        else if (rows == 3)
            add_bf16(x, row_bytes, 3, panel, padded, sums, column);
        else
            add_bf16(x, row_bytes, NARROW_ROWS, panel, padded, sums, column);
    }
}

/* vpmaddubsw adds two products in 16 bits and saturates: with both factors at most 127 it never does. So the
 * magnitude of the weight is one factor, and its sign goes to the other. */
VECTOR_INLINE __m256i add_products(__m256i sum, __m256i weights, __m256i q) {
    const __m256i w = _mm256_xor_si256(weights, _mm256_set1_epi8((char)0x80));
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(q, w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static void tile_int8(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                      size_t padded, float (*sums)[KERNEL_PANEL]) {
    (void)row_bytes, (void)rows;
    __m256i sum[KERNEL_PANEL / 8];
    const float *scales = (const float *)(const void *)(panel + padded * KERNEL_PANEL);
    KERNEL_EACH (v, KERNEL_PANEL / 8) sum[v] = _mm256_setzero_si256();
    for (size_t k = 0; k < padded; k += 4, panel += KERNEL_PANEL * 4) {
        const __m256i q = splat_bytes(x + k);
        KERNEL_EACH (v, KERNEL_PANEL / 8) sum[v] = add_products(sum[v], load_bytes(panel + v * 32), q);
    }
    KERNEL_EACH (v, KERNEL_PANEL / 8) scale_sums(sum[v], scales, v * PART_LANES, sums[0]);
}

/* One group: eight pairs of products of at most 15 * 127 fit into 16 bits. */
VECTOR_INLINE __m256i group_sum(const unsigned char *x, const unsigned char *w) {
    const __m256i low_half = _mm256_set1_epi8(15);
    __m256i pairs = _mm256_setzero_si256();
    KERNEL_EACH (s, KERNEL_INT4_GROUP / 8) {
        const __m256i packed = load_bytes(w + s * KERNEL_PANEL * 4);
        const __m256i low = _mm256_and_si256(packed, low_half);
        const __m256i high = _mm256_and_si256(_mm256_srli_epi16(packed, 4), low_half);
        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(low, splat_bytes(x + 4 * s)));
        pairs = _mm256_add_epi16(pairs,
                                 _mm256_maddubs_epi16(high, splat_bytes(x + KERNEL_INT4_GROUP / 2 + 4 * s)));
    }
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

static void tile_int4(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                      size_t padded, float (*sums)[KERNEL_PANEL]) {
    (void)row_bytes, (void)rows;
    const struct narrow_int4 weights = narrow_int4(panel, padded);
    const int8_t *steps = weights.steps;
    __m256i sum[KERNEL_PANEL / 8];
    KERNEL_EACH (v, KERNEL_PANEL / 8) sum[v] = _mm256_setzero_si256();
    for (size_t g = 0; g < padded / KERNEL_INT4_GROUP; g++, steps += KERNEL_PANEL * 2) {
        const int32_t sum_of_x = narrow_sum(x, padded, 1 + g);
        const __m256i offset = _mm256_set1_epi32(8 * sum_of_x);
        const unsigned char *w = panel + g * KERNEL_INT4_GROUP / 2 * KERNEL_PANEL;
        KERNEL_EACH (v, KERNEL_PANEL / 8) {
            const __m256i whole = _mm256_sub_epi32(group_sum(x + g * KERNEL_INT4_GROUP, w + v * 32), offset);
            sum[v] = _mm256_add_epi32(
                sum[v], _mm256_madd_epi16(pair_sums(whole, sum_of_x), load_int4_steps(steps + v * 16)));
        }
    }
    KERNEL_EACH (v, KERNEL_PANEL / 8) scale_sums(sum[v], weights.scales, v * PART_LANES, sums[0]);
}

NARROW_DEFINE(gemm_bf16_avx2, WEIGHT_TYPE_BF16, tile_bf16, KERNEL_ROWS_bf16_avx2)
NARROW_DEFINE(gemm_int8_avx2, WEIGHT_TYPE_INT8, tile_int8, KERNEL_ROWS_int8_avx2)
NARROW_DEFINE(gemm_int4_avx2, WEIGHT_TYPE_INT4, tile_int4, KERNEL_ROWS_int4_avx2)
