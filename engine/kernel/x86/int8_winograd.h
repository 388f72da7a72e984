/* int8 of many rows with AVX2, which multiplies pairs of 16 bits and adds them up in two instructions, by Winograd's
 * inner product (1968): of two neighbours in k
 *     (q0 + w1) * (q1 + w0) = q0 * w0 + q1 * w1 + q0 * q1 + w0 * w1,
 * so that one multiplication does the work of two. Two additions more are no loss, because all ports add and only some
 * multiply. The sums of q0 * q1 and w0 * w1 belong to a row and to a column: they are made once for many products.
 *
 * Weights are unpacked to pairs of 16 bits as they are stored, with 128 added. For four of k of a panel there are two
 * lines: (w0, w2) of 48 columns, then (w1, w3). Behind all lines stand minus the sums of w0 * w1, int32_t [48]. A row of
 * activations is unpacked likewise: all (q0, q2) of a group, then all (q1, q3). */
#pragma once

#include "engine/kernel/x86/int_avx2.h"

#include "engine/kernel/template/lowp.h"
#include "engine/kernel/template/row_switch.h"

#define WINOGRAD_ROWS      3
#define WINOGRAD_REGISTERS 3
#define WINOGRAD_LINE      (KERNEL_PANEL * 4)
#define WINOGRAD_STEPS_MAX (KERNEL_INT8_GROUP / 4)
#define WINOGRAD_BYTES     (WINOGRAD_STEPS_MAX * 2 * WINOGRAD_LINE + WINOGRAD_LINE)

static void winograd_unpack(const struct lowp_part *part, unsigned char *to) {
    const __m256i low_byte = _mm256_set1_epi16(255);
    const unsigned char *w = part->weights;
    __m256i sums[PANEL_REGISTERS];
    KERNEL_EACH (v, PANEL_REGISTERS) sums[v] = _mm256_setzero_si256();
    for (size_t k = part->first; k < part->end; k += 4, w += WINOGRAD_LINE, to += 2 * WINOGRAD_LINE) {
        KERNEL_EACH (v, PANEL_REGISTERS) {
            const __m256i bytes = load_bytes(w + v * REGISTER_BYTES);
            const __m256i even = _mm256_and_si256(bytes, low_byte), odd = _mm256_srli_epi16(bytes, 8);
            store_bytes(to + v * REGISTER_BYTES, even);
            store_bytes(to + WINOGRAD_LINE + v * REGISTER_BYTES, odd);
            sums[v] = _mm256_sub_epi32(sums[v], _mm256_madd_epi16(even, odd));
        }
    }
    KERNEL_EACH (v, PANEL_REGISTERS) store_bytes(to + v * REGISTER_BYTES, sums[v]);
}

/* A group of some rows of activations. */
struct winograd_rows {
    /* Not a power of two apart. */
    _Alignas(KERNEL_ALIGN) int16_t pairs[WINOGRAD_ROWS][2 * WINOGRAD_STEPS_MAX * 2 + KERNEL_ALIGN];
    /* What is added to the sums of a row: it takes away its products of q by q, and the 128 of the weights. */
    int32_t start[WINOGRAD_ROWS];
};

VECTOR_INLINE int32_t sum_of_lanes(__m256i v) {
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

/* Returns sums of q0 * q1. What the next tile begins with is prefetched: `next` bytes further on. */
VECTOR_INLINE __m256i winograd_unpack_row(const unsigned char *q, size_t k, size_t next, int16_t *even,
                                          int16_t *odd) {
    __m256i sums = _mm256_setzero_si256();
    for (size_t i = 0; i < k; i += KERNEL_LOWP_K) {
        PREFETCH_BEHIND(q, next + i, 3);
        KERNEL_EACH (half, KERNEL_LOWP_K / REGISTER_BYTES) {
            const size_t at = i + half * REGISTER_BYTES;
            const __m256i bytes = load_bytes(q + at);
            const __m256i of_even = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
            const __m256i of_odd = _mm256_srai_epi16(bytes, 8);
            store_bytes((unsigned char *)(even + at / 2), of_even);
            store_bytes((unsigned char *)(odd + at / 2), of_odd);
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(of_even, of_odd));
        }
    }
    return sums;
}

/* x: from the start of the rows. rows is a constant where this is inlined, here and below. */
VECTOR_INLINE void winograd_unpack_rows(const unsigned char *x, size_t row_bytes, size_t rows,
                                        const struct lowp_part *part, struct winograd_rows *to) {
    const size_t groups = kernel_int8_groups(part->padded);
    KERNEL_EACH (r, rows) {
        const unsigned char *row = x + r * row_bytes;
        const __m256i products =
            winograd_unpack_row(row + part->first, part->end - part->first, rows * row_bytes, to->pairs[r],
                                to->pairs[r] + 2 * WINOGRAD_STEPS_MAX);
        to->start[r] = -sum_of_lanes(products) - 128 * lowp_group_sum(row, part->padded, groups, part->group);
    }
}

/* Four of k. */
VECTOR_INLINE void winograd_step(const int16_t *q, size_t rows, const unsigned char *w,
                                 __m256i (*sum)[WINOGRAD_REGISTERS]) {
    __m256i even[WINOGRAD_REGISTERS], odd[WINOGRAD_REGISTERS];
    KERNEL_EACH (v, WINOGRAD_REGISTERS) {
        even[v] = load_bytes(w + v * REGISTER_BYTES);
        odd[v] = load_bytes(w + WINOGRAD_LINE + v * REGISTER_BYTES);
    }
    KERNEL_EACH (r, rows) {
        const int16_t *row = q + r * (sizeof((struct winograd_rows *)0)->pairs[0] / sizeof *q);
        const __m256i q_even = splat_bytes((const unsigned char *)row);
        const __m256i q_odd = splat_bytes((const unsigned char *)(row + 2 * WINOGRAD_STEPS_MAX));
        KERNEL_EACH (v, WINOGRAD_REGISTERS) {
            const __m256i products =
                _mm256_madd_epi16(_mm256_add_epi16(q_even, odd[v]), _mm256_add_epi16(q_odd, even[v]));
            sum[r][v] = _mm256_add_epi32(sum[r][v], products);
        }
    }
}

VECTOR_INLINE void winograd_tile(const unsigned char *x, size_t row_bytes, size_t rows,
                                 const struct lowp_part *part, const struct winograd_rows *q, size_t first,
                                 float (*sums)[KERNEL_PANEL], const struct weight_prefetch *prefetch) {
    const size_t steps = (part->end - part->first) / 4, shares = PANEL_REGISTERS / WINOGRAD_REGISTERS;
    const unsigned char *w = part->weights + first * REGISTER_BYTES;
    const int16_t *pair = q->pairs[0];
    struct prefetch_pace pace = prefetch_pace_of(prefetch, steps, 1, first / WINOGRAD_REGISTERS, shares);
    __m256i sum[WINOGRAD_ROWS][WINOGRAD_REGISTERS];
    KERNEL_EACH (v, WINOGRAD_REGISTERS) {
        const __m256i start = load_bytes(w + steps * 2 * WINOGRAD_LINE + v * REGISTER_BYTES);
        KERNEL_EACH (r, rows) sum[r][v] = _mm256_add_epi32(start, int_splat(q->start[r]));
    }
    for (size_t i = 0, end; i < steps;) {
        prefetch_burst(&pace, 1);
        for (end = steps - i < pace.period ? steps : i + pace.period; i < end; i++) {
            winograd_step(pair, rows, w, sum);
            pair += 2, w += 2 * WINOGRAD_LINE;
        }
    }
    KERNEL_EACH (r, rows) {
        const float scale = lowp_group_scale(x + r * row_bytes, part->padded, part->group);
        KERNEL_EACH (v, WINOGRAD_REGISTERS) {
            const size_t column = (first + v) * REGISTER_LANES;
            int_add_scaled(sum[r][v], part->scales + column, scale, part->group == 0, sums[r] + column);
        }
    }
}

VECTOR_INLINE void winograd_part(const unsigned char *x, size_t row_bytes, size_t rows,
                                 const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                                 const struct weight_prefetch *prefetch) {
    struct winograd_rows q;
    winograd_unpack_rows(x, row_bytes, rows, part, &q);
    /* Also where a strip is asked for, which is not worth it for so many rows. */
    for (size_t first = 0; first < PANEL_REGISTERS; first += WINOGRAD_REGISTERS)
        winograd_tile(x, row_bytes, rows, part, &q, first, sums, prefetch);
}

#define WINOGRAD_CALL(n) winograd_part(x, row_bytes, n, part, sums, prefetch)
static void winograd_microkernel(const unsigned char *x, size_t row_bytes, size_t rows,
                                 const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                                 const struct weight_prefetch *prefetch) {
    ROW_SWITCH(WINOGRAD_ROWS, rows, WINOGRAD_CALL)
}

/* A part is a group. */
static const struct lowp_kernel winograd_kernel = {.type = WEIGHT_TYPE_INT8,
                                                   .microkernel = winograd_microkernel,
                                                   .unpack = winograd_unpack,
                                                   .tile_rows = WINOGRAD_ROWS,
                                                   .part_k = KERNEL_INT8_GROUP,
                                                   .few_rows = 16};
#define INT8_MANY       winograd_kernel
#define INT8_MANY_BYTES WINOGRAD_BYTES
