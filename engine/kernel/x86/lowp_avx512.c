/* GEMMs of low-precision weights with AVX-512 (F, BW, DQ, VL) alone, in tiles by a whole panel; of many rows of int4 those of
 * int4_bytes.h. */

/* One to eight rows of bf16 from memory take 5 to 11 % less by it than by 3,072 (Emerald Rapids). */
#define PREFETCH_MEMORY_DISTANCE 4608
#define INT4_BYTES_ROWS          8
#define INT4_BYTES_REGISTERS     PANEL_REGISTERS
#define INT4_BYTES_FEW_ROWS      8
#include "engine/kernel/x86/int4_avx512.h"
#include "engine/kernel/x86/int4_bytes.h"

#define KERNEL_SET           avx512
#define BF16_ROWS            8
#define BF16_BLOCK_ROWS      BF16_ROWS
#define BF16_REGISTERS(rows) PANEL_REGISTERS
#define BF16_ROW_BYTES       sizeof(float)
#define BF16_KEEPS           /* widening takes a ninth of what the multipliers do in a tile of 8 rows */
#define BF16_FEW_ROWS        20
#define INT8_ROWS            8
#define INT8_REGISTERS(rows) PANEL_REGISTERS
#define INT8_STEP            4
#define INT8_COMPENSATION    0
#define INT4_ROWS            4
#define INT4_COMPENSATION    0
#define INT4_REGISTERS(rows) PANEL_REGISTERS
#include "engine/kernel/x86/bf16_widen.h"

/* ---- bf16 ---- */

static void bf16_store(unsigned char *row, size_t i, struct vector v) {
    vector_store((float *)(void *)row + i, vector_round_bf16(v));
}

VECTOR_INLINE __m512 bf16_widen(const unsigned char *from, enum parity parity) {
    if (parity == EVEN) prefetch_from_cache(from);
    const __m512i pairs = load_bytes(from);
    return _mm512_castsi512_ps(parity == ODD ? _mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000u))
                                             : _mm512_slli_epi32(pairs, 16));
}

/* ---- integers ---- */

/* As in lowp_avx2.c: the magnitude of the weight is one factor and its sign goes to the other, so that
 * vpmaddubsw never saturates. rows and registers are constants where this is inlined, here and below. */
VECTOR_INLINE void int8_step(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                             size_t registers, __m512i (*sum)[PANEL_REGISTERS]) {
    const __m512i sign_bit = _mm512_set1_epi8((char)0x80), ones = _mm512_set1_epi16(1);
    KERNEL_EACH (v, registers) {
        prefetch_from_cache(w + v * REGISTER_BYTES);
        const __m512i weight = _mm512_xor_si512(load_bytes(w + v * REGISTER_BYTES), sign_bit);
        const __m512i magnitude = _mm512_abs_epi8(weight);
        const __mmask64 negative = _mm512_movepi8_mask(weight);
        KERNEL_EACH (r, rows) {
            const __m512i q = splat_bytes(x + r * row_bytes);
            const __m512i signs = _mm512_mask_sub_epi8(q, negative, _mm512_setzero_si512(), q);
            const __m512i pairs = _mm512_maddubs_epi16(magnitude, signs);
            sum[r][v] = _mm512_add_epi32(sum[r][v], _mm512_madd_epi16(pairs, ones));
        }
    }
}

#include "engine/kernel/template/lowp_bf16.h"
#include "engine/kernel/template/lowp_int.h"

_Static_assert(BF16_ROWS == KERNEL_ROWS_bf16_avx512 && INT8_ROWS == KERNEL_ROWS_int8_avx512 &&
                   INT4_ROWS == KERNEL_ROWS_int4_avx512,
               "as in kernels.def");
