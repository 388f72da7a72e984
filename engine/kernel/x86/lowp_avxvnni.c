/* Narrow integer weights with AVX-VNNI, for CPUs that have no AVX-512: as lowp_avx512vnni.c, in sixteen
 * registers half as wide. Tiles take a whole panel for one or two rows, and half of it for more: 12 chains.
 */
#include "engine/kernel/x86/lowp_avx2.h"

#define PANEL_PARTS (KERNEL_PANEL / PART_LANES) /* registers of a panel; four bytes a lane */
#define PART_BYTES  32
#define STEP_BYTES  (KERNEL_PANEL * 4) /* from four of k to the next */

/* sum += weights (unsigned) . q (signed), by fours. Said in assembly, because gcc 12 copies every sum from
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

/* Four of k, for `rows` rows by `parts` registers of a panel: few rows stay in registers while the weights
 * pass, more rows pass while the weights stay. which, rows and parts are constants where this is inlined,
 * here and below. */
VECTOR_INLINE void add_step(enum weights which, const unsigned char *x, size_t row_bytes, size_t rows,
                            const unsigned char *w, size_t parts, __m256i (*sum)[PANEL_PARTS]) {
    __m256i q[NARROW_ROWS], weight[PANEL_PARTS];
    if (rows <= 2) {
        KERNEL_EACH (r, rows) q[r] = splat_bytes(x + r * row_bytes);
        KERNEL_EACH (p, parts) {
            weight[p] = load_weights(which, w + p * PART_BYTES);
            KERNEL_EACH (r, rows) add_dot(&sum[r][p], weight[p], q[r]);
        }
    } else {
        KERNEL_EACH (p, parts) weight[p] = load_weights(which, w + p * PART_BYTES);
        KERNEL_EACH (r, rows) {
            q[r] = splat_bytes(x + r * row_bytes);
            KERNEL_EACH (p, parts) add_dot(&sum[r][p], weight[p], q[r]);
        }
    }
}

/* `rows` rows by `parts` registers of a panel from the first on. */
VECTOR_INLINE void add_int8(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                            size_t padded, size_t first, size_t parts, float (*sums)[KERNEL_PANEL]) {
    __m256i sum[NARROW_ROWS][PANEL_PARTS];
    const float *scales = (const float *)(const void *)(panel + padded * KERNEL_PANEL);
    const unsigned char *w = panel + first * PART_BYTES;
    KERNEL_EACH (r, rows) {
        const __m256i start = _mm256_set1_epi32(-128 * narrow_sum(x + r * row_bytes, padded, 0));
        KERNEL_EACH (p, parts) sum[r][p] = start;
    }
    for (size_t k = 0; k < padded; k += 4, w += STEP_BYTES)
        add_step(WHOLE, x + k, row_bytes, rows, w, parts, sum);
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (p, parts) scale_sums(sum[r][p], scales, (first + p) * PART_LANES, sums[r]);
    }
}

VECTOR_INLINE void add_int4(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                            size_t padded, size_t first, size_t parts, float (*sums)[KERNEL_PANEL]) {
    const struct narrow_int4 weights = narrow_int4(panel, padded);
    const int8_t *steps = weights.steps + first * PART_LANES * 2;
    __m256i total[NARROW_ROWS][PANEL_PARTS];
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (p, parts) total[r][p] = _mm256_setzero_si256();
    }
    for (size_t g = 0; g < padded / KERNEL_INT4_GROUP; g++, steps += KERNEL_PANEL * 2) {
        const unsigned char *w = panel + g * KERNEL_INT4_GROUP / 2 * KERNEL_PANEL + first * PART_BYTES;
        __m256i sum[NARROW_ROWS][PANEL_PARTS];
        KERNEL_EACH (r, rows) {
            const __m256i start = _mm256_set1_epi32(-8 * narrow_sum(x + r * row_bytes, padded, 1 + g));
            KERNEL_EACH (p, parts) sum[r][p] = start;
        }
        KERNEL_EACH (s, KERNEL_INT4_GROUP / 8) {
            const unsigned char *q = x + g * KERNEL_INT4_GROUP + 4 * s;
            add_step(LOWER, q, row_bytes, rows, w + s * STEP_BYTES, parts, sum);
            add_step(UPPER, q + KERNEL_INT4_GROUP / 2, row_bytes, rows, w + s * STEP_BYTES, parts, sum);
        }
        KERNEL_EACH (p, parts) {
            const __m256i step = load_int4_steps(steps + p * PART_LANES * 2);
            KERNEL_EACH (r, rows) {
                const __m256i pair = pair_sums(sum[r][p], narrow_sum(x + r * row_bytes, padded, 1 + g));
                add_pairs(&total[r][p], pair, step);
            }
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (p, parts) scale_sums(total[r][p], weights.scales, (first + p) * PART_LANES, sums[r]);
    }
}

/* A tile function that gives `add` the numbers of its rows and registers as constants. */
#define TILE(name, add)                                                                                      \
    static void name(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,      \
                     size_t padded, float(*sums)[KERNEL_PANEL]) {                                            \
        switch (rows) {                                                                                      \
        case 1:                                                                                              \
            add(x, row_bytes, 1, panel, padded, 0, PANEL_PARTS, sums);                                       \
            break;                                                                                           \
        case 2:                                                                                              \
            add(x, row_bytes, 2, panel, padded, 0, PANEL_PARTS, sums);                                       \
            break;                                                                                           \
        case 3:                                                                                              \
            for (size_t first = 0; first < PANEL_PARTS; first += PANEL_PARTS / 2)                            \
                add(x, row_bytes, 3, panel, padded, first, PANEL_PARTS / 2, sums);                           \
            break;                                                                                           \
        default:                                                                                             \
            for (size_t first = 0; first < PANEL_PARTS; first += PANEL_PARTS / 2)                            \
                add(x, row_bytes, NARROW_ROWS, panel, padded, first, PANEL_PARTS / 2, sums);                 \
            break;                                                                                           \
        }                                                                                                    \
    }

TILE(tile_int8, add_int8)
TILE(tile_int4, add_int4)
NARROW_DEFINE(gemm_int8_avxvnni, WEIGHT_TYPE_INT8, tile_int8, KERNEL_ROWS_int8_avxvnni)
NARROW_DEFINE(gemm_int4_avxvnni, WEIGHT_TYPE_INT4, tile_int4, KERNEL_ROWS_int4_avxvnni)
