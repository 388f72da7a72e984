/* GEMMs of integer weights with AVX-512 VNNI, in tiles of up to 8 rows by a panel: vpdpbusd multiplies
 * unsigned weights by signed activations. */
#include "engine/kernel/x86/int4_unpack.h"

#include "engine/kernel/template/lowp.h"

#define KERNEL_SET           avx512vnni
#define INT8_ROWS            8
#define INT8_REGISTERS(rows) PANEL_REGISTERS
#define INT8_STEP            4
#define INT8_COMPENSATION    128
#define INT4_ROWS            8
#define INT4_COMPENSATION    8
#define INT4_REGISTERS(rows) PANEL_REGISTERS

/* sum += weights (unsigned) . q (signed), by fours. In assembly, because gcc 12 copies every accumulator from
 * one register to another around the intrinsic, and runs out of them. */
VECTOR_INLINE void add_dot(__m512i *sum, __m512i weights, __m512i q) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(weights), "v"(q));
}

/* sum += a . b, by pairs of 16 bits. */
VECTOR_INLINE void add_pairs(__m512i *sum, __m512i a, __m512i b) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
}

/* rows and registers are constants where this is inlined, here and below. */
VECTOR_INLINE void add_products(const unsigned char *x, size_t row_bytes, size_t rows, const __m512i *weight,
                                size_t registers, __m512i (*sum)[PANEL_REGISTERS]) {
    KERNEL_EACH (r, rows) {
        const __m512i q = splat_bytes(x + r * row_bytes);
        KERNEL_EACH (v, registers) add_dot(&sum[r][v], weight[v], q);
    }
}

VECTOR_INLINE void int8_step(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                             size_t registers, __m512i (*sum)[PANEL_REGISTERS]) {
    __m512i weight[PANEL_REGISTERS];
    KERNEL_EACH (v, registers) {
        prefetch_from_cache(w + v * REGISTER_BYTES);
        weight[v] = load_bytes(w + v * REGISTER_BYTES);
    }
    add_products(x, row_bytes, rows, weight, registers, sum);
}

VECTOR_INLINE void int4_group(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              size_t registers, __m512i (*sum)[PANEL_REGISTERS]) {
    const __m512i low_half = _mm512_set1_epi8(15);
    KERNEL_EACH (s, KERNEL_INT4_GROUP / 8) {
        __m512i low[PANEL_REGISTERS], high[PANEL_REGISTERS];
        KERNEL_EACH (v, registers) {
            const unsigned char *from = w + s * KERNEL_PANEL * 4 + v * REGISTER_BYTES;
            prefetch_weights(from);
            const __m512i packed = load_bytes(from);
            low[v] = _mm512_and_si512(packed, low_half);
            high[v] = _mm512_and_si512(_mm512_srli_epi16(packed, 4), low_half);
        }
        add_products(x + 4 * s, row_bytes, rows, low, registers, sum);
        add_products(x + KERNEL_INT4_GROUP / 2 + 4 * s, row_bytes, rows, high, registers, sum);
    }
}

/* Of sixteen columns, as pairs of 16 bits; they multiply the group's sums over q * x and over x. */
struct int4_scales {
    __m512i pairs;
};

VECTOR_INLINE struct int4_scales int4_load_scales(const int8_t *groups) {
    return (struct int4_scales){
        _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)groups))};
}

VECTOR_INLINE __m512i int4_pair_sums(__m512i sums, int32_t sum_of_x) {
    return _mm512_mask_mov_epi16(sums, 0xaaaaaaaa, _mm512_set1_epi16((short)sum_of_x));
}

VECTOR_INLINE void int4_add_group(__m512i *total, __m512i sum, struct int4_scales scales, int32_t sum_of_x) {
    add_pairs(total, int4_pair_sums(sum, sum_of_x), scales.pairs);
}

/* Unpacked once for all tiles, int4 is multiplied as int8 is, with 128 added. */
static void int4_unpack(const struct lowp_part *part, unsigned char *to) {
    const struct panel_columns columns = part->columns;
    const unsigned char *packed = part->weights;
    const int8_t *groups = part->groups;
    for (size_t k = part->first; k < part->end; k += KERNEL_INT4_GROUP) {
        prefetch_weights((const unsigned char *)groups);
        if (kernel_columns_are_all(columns))
            int4_unpack_group(packed, groups, (int8_t)-INT8_COMPENSATION, to);
        else
            for (size_t column = columns.first; column < columns.end; column += KERNEL_LANES)
                int4_unpack_columns(packed + column * 4, groups + column * 2, (int8_t)-INT8_COMPENSATION,
                                    to + column * 4);
        packed += KERNEL_INT4_GROUP / 2 * KERNEL_PANEL, groups += 2 * KERNEL_PANEL;
        to += KERNEL_INT4_GROUP * KERNEL_PANEL;
    }
}
#define INT4_UNPACK int4_unpack

#include "engine/kernel/template/lowp_int.h"

_Static_assert(INT8_ROWS == KERNEL_ROWS_int8_avx512vnni && INT4_ROWS == KERNEL_ROWS_int4_avx512vnni,
               "as in kernels.def");
