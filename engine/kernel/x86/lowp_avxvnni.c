/* GEMMs of integer weights with AVX-VNNI, for CPUs that have no AVX-512: as lowp_avx512vnni.c, in sixteen
 * registers half as wide. Tiles take a whole panel for one or two rows, and half of it for more: 12
 * accumulators. */
#include "engine/kernel/x86/int_avx2.h"

#define KERNEL_SET           avxvnni
#define FEW_ROWS             2
#define INT8_ROWS            4
#define INT8_REGISTERS(rows) ((rows) <= FEW_ROWS ? PANEL_REGISTERS : PANEL_REGISTERS / 2)
#define INT8_STEP            4
#define INT8_COMPENSATION    128
#define INT4_ROWS            4
#define INT4_COMPENSATION    8
#define INT4_REGISTERS(rows) INT8_REGISTERS(rows)

/* sum += weights (unsigned) . q (signed), by fours. In assembly, because gcc 12 copies every accumulator from
 * one register to another around the intrinsic, and runs out of them. */
VECTOR_INLINE void add_dot(__m256i *sum, __m256i weights, __m256i q) {
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(*sum) : "x"(weights), "x"(q));
}

/* sum += a . b, by pairs of 16 bits. */
VECTOR_INLINE void add_pairs(__m256i *sum, __m256i a, __m256i b) {
    __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(*sum) : "x"(a), "x"(b));
}

/* A panel of int8, or the lower or the upper halves of the bytes of one of int4. */
enum weights { WHOLE, LOWER, UPPER };

VECTOR_INLINE __m256i load_weights(enum weights which, const unsigned char *from) {
    const __m256i bytes = load_bytes(from), half = _mm256_set1_epi8(15);
    if (which == WHOLE) return bytes;
    return _mm256_and_si256(which == LOWER ? bytes : _mm256_srli_epi16(bytes, 4), half);
}

/* Four of k: few rows stay in registers while the weights pass, of more rows each passes while the weights
 * stay. which, rows and registers are constants where this is inlined, here and below. */
VECTOR_INLINE void add_step(enum weights which, const unsigned char *x, size_t row_bytes, size_t rows,
                            const unsigned char *w, size_t registers, __m256i (*sum)[PANEL_REGISTERS]) {
    __m256i q[INT8_ROWS], weight[PANEL_REGISTERS];
    if (rows <= FEW_ROWS) {
        KERNEL_EACH (r, rows) q[r] = splat_bytes(x + r * row_bytes);
        KERNEL_EACH (v, registers) {
            weight[v] = load_weights(which, w + v * REGISTER_BYTES);
            KERNEL_EACH (r, rows) add_dot(&sum[r][v], weight[v], q[r]);
        }
    } else {
        KERNEL_EACH (v, registers) weight[v] = load_weights(which, w + v * REGISTER_BYTES);
        KERNEL_EACH (r, rows) {
            q[r] = splat_bytes(x + r * row_bytes);
            KERNEL_EACH (v, registers) add_dot(&sum[r][v], weight[v], q[r]);
        }
    }
}

VECTOR_INLINE void int8_step(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                             size_t registers, __m256i (*sum)[PANEL_REGISTERS]) {
    add_step(WHOLE, x, row_bytes, rows, w, registers, sum);
}

VECTOR_INLINE void int4_group(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              size_t registers, __m256i (*sum)[PANEL_REGISTERS]) {
    KERNEL_EACH (s, KERNEL_INT4_GROUP / 8) {
        const unsigned char *q = x + 4 * s, *packed = w + s * KERNEL_PANEL * 4;
        add_step(LOWER, q, row_bytes, rows, packed, registers, sum);
        add_step(UPPER, q + KERNEL_INT4_GROUP / 2, row_bytes, rows, packed, registers, sum);
    }
}

/* Of eight columns, as pairs of 16 bits; they multiply the group's sums over q * x and over x. */
struct int4_scales {
    __m256i pairs;
};

VECTOR_INLINE struct int4_scales int4_load_scales(const int8_t *groups) {
    return (struct int4_scales){_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)groups))};
}

VECTOR_INLINE __m256i int4_pair_sums(__m256i sums, int32_t sum_of_x) {
    return _mm256_blend_epi16(sums, _mm256_set1_epi16((short)sum_of_x), 0xaa);
}

VECTOR_INLINE void int4_add_group(__m256i *total, __m256i sum, struct int4_scales scales, int32_t sum_of_x) {
    add_pairs(total, int4_pair_sums(sum, sum_of_x), scales.pairs);
}

#include "engine/kernel/template/lowp_int.h"

_Static_assert(INT8_ROWS == KERNEL_ROWS_int8_avxvnni && INT4_ROWS == KERNEL_ROWS_int4_avxvnni,
               "as in kernels.def");
