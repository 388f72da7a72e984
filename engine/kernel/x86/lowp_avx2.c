/* GEMMs of low-precision weights with AVX2 and FMA. Tiles: of bf16 up to 6 rows by a third of a panel, in runs of up to 3;
 * of few integers up to 4 rows by half a panel, of many those of int8_winograd.h and int4_bytes.h. */

/* From memory two rows in two tiles are 1.5 times as fast as in one: the hardware alone prefetches too little. */
#define LOWP_SINGLE_ROWS(kernel) ((kernel)->type == WEIGHT_TYPE_BF16 ? (kernel)->tile_rows : 1)
#define PREFETCH_MEMORY_DISTANCE                                                                             \
    3072 /* bytes from the weights at hand to those that come from memory: a page's worth */

#define INT4_BYTES_ROWS      4
#define INT4_BYTES_REGISTERS 2
#define INT4_BYTES_FEW_ROWS  8
#include "engine/kernel/x86/int4_avx2.h"
#include "engine/kernel/x86/int4_bytes.h"
#include "engine/kernel/x86/int8_winograd.h"

#define KERNEL_SET           avx2
#define BF16_ROWS            6
#define BF16_BLOCK_ROWS      3
#define BF16_REGISTERS(rows) (PANEL_REGISTERS / ((rows) < BF16_BLOCK_ROWS ? (rows) : BF16_BLOCK_ROWS))
#define BF16_ROW_BYTES       sizeof(float)
#define INT8_ROWS            4
#define INT8_REGISTERS(rows) ((rows) == 1 ? PANEL_REGISTERS : PANEL_REGISTERS / 2)
#define INT8_STEP            4
#define INT8_COMPENSATION    0
#define INT4_ROWS            4
#define INT4_REGISTERS(rows) INT8_REGISTERS(rows)
#define INT4_COMPENSATION    0
/* From memory a row is a third to a half faster for it, and from a cache as fast as before. */
#define INT4_PREFETCHES_ALONE true
#include "engine/kernel/template/prefetch.h"

/* ---- bf16 ---- */

static void bf16_store(unsigned char *row, size_t i, struct vector v) {
    vector_store((float *)(void *)row + i, vector_round_bf16(v));
}

VECTOR_INLINE __m256 bf16_even(const unsigned char *from) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(load_bytes(from), 16));
}

/* By an instruction that loads the pairs again: kept from the even half, they would take the last registers. */
VECTOR_INLINE __m256 bf16_odd(const unsigned char *from, __m256 upper) {
    __m256 odd;
    __asm__("vandps %1, %2, %0" : "=x"(odd) : "m"(*(const __m256 *)(const void *)from), "x"(upper));
    return odd;
}

/* rows and registers are constants where this is inlined, here and below. */
VECTOR_INLINE void bf16_add_products(const unsigned char *x, size_t row_bytes, size_t rows,
                                     const __m256 *weight, size_t registers, __m256 (*sum)[PANEL_REGISTERS]) {
    KERNEL_EACH (r, rows) {
        const __m256 value = register_splat((const float *)(const void *)(x + r * row_bytes));
        KERNEL_EACH (v, registers) sum[r][v] = register_fma(value, weight[v], sum[r][v]);
    }
}

/* Accumulators of both parities are in registers at once: a pass over each of them alone, with twice as many rows, spent a
 * tenth of the time between the passes. */
// NOLINTBEGIN(readability-non-const-parameter): others write to keep
VECTOR_INLINE void bf16_block(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              size_t registers, unsigned char *keep, const struct weight_prefetch *prefetch,
                              __m256 (*even)[PANEL_REGISTERS], __m256 (*odd)[PANEL_REGISTERS]) {
    // NOLINTEND(readability-non-const-parameter)
    (void)keep;
    const __m256 upper = _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000u));
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) even[r][v] = odd[r][v] = register_zero();
    }
    for (size_t k = 0; k < KERNEL_BF16_BLOCK; k += 2, x += 2 * sizeof(float), w += KERNEL_PANEL * 4) {
        __m256 weight[PANEL_REGISTERS];
        if (prefetch) weight_prefetch_alone(prefetch, w, registers * REGISTER_BYTES);
        KERNEL_EACH (v, registers) weight[v] = bf16_even(w + v * REGISTER_BYTES);
        bf16_add_products(x, row_bytes, rows, weight, registers, even);
        KERNEL_EACH (v, registers) weight[v] = bf16_odd(w + v * REGISTER_BYTES, upper);
        bf16_add_products(x + sizeof(float), row_bytes, rows, weight, registers, odd);
    }
}

/* ---- integers ---- */

/* vpmaddubsw adds two products in 16 bits and saturates: with both factors at most 127 it never does. So the magnitude of
 * the weight is one factor, and its sign goes to the other. rows and registers are constants where this is inlined, here
 * and below. */
VECTOR_INLINE void int8_step(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                             size_t registers, __m256i (*sum)[PANEL_REGISTERS]) {
    KERNEL_EACH (v, registers) {
        const __m256i weight =
            _mm256_xor_si256(load_bytes(w + v * REGISTER_BYTES), _mm256_set1_epi8((char)0x80));
        KERNEL_EACH (r, rows) {
            const __m256i q = splat_bytes(x + r * row_bytes);
            const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weight), _mm256_sign_epi8(q, weight));
            sum[r][v] = _mm256_add_epi32(sum[r][v], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        }
    }
}

#include "engine/kernel/template/lowp_bf16.h"
#include "engine/kernel/template/lowp_int.h"

_Static_assert(BF16_ROWS == KERNEL_ROWS_bf16_avx2 && INT8_ROWS == KERNEL_ROWS_int8_avx2 &&
                   INT4_ROWS == KERNEL_ROWS_int4_avx2,
               "as in kernels.def");
