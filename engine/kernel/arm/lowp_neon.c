/* Narrow weights with NEON, integers by its dot products of four signed bytes (FEAT_DotProd). Tiles take a
 * whole panel for few rows, and a part of it for more, so that all chains live in the 32 registers. */
#include "engine/kernel/arm/vector_neon.h"

#define NARROW_ROWS 6
#include "engine/kernel/template/lowp.h"

#define PANEL_PARTS (KERNEL_PANEL / PART_LANES) /* registers of a panel; four bytes a lane */
#define PART_BYTES  16
#define STEP_BYTES  (KERNEL_PANEL * 4) /* from one step of k (2 for bf16, 4 for int8) to the next */
#define STEPS       4                  /* that a register of a row of activations holds */
/* Rows of a tile: bf16 has two chains a sum, int4 two registers of activations a row. */
#define BF16_ROWS 3
#define INT8_ROWS NARROW_ROWS
#define INT4_ROWS 4

/* To nearest even on the upper half of the bits; NaN stays as it is. */
VECTOR_INLINE float32x4_t round_bf16(float32x4_t v) {
    const uint32x4_t bits = vreinterpretq_u32_f32(v), odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    const uint32x4_t upper = vandq_u32(rounded, vdupq_n_u32(0xffff0000u));
    return vbslq_f32(vceqq_f32(v, v), vreinterpretq_f32_u32(upper), v);
}

static void store_bf16(unsigned char *row, size_t i, struct vector v) {
    KERNEL_EACH (p, VECTOR_PARTS) v.part[p] = round_bf16(v.part[p]);
    vector_store((float *)(void *)row + i, v);
}

void convert_bf16_neon(const struct activation_rows *rows, size_t row_first, size_t row_count) {
    convert_rows_bf16(rows, row_first, row_count, store_bf16);
}

/* ---- bf16 ---- */

/* One block of k, for `rows` rows by `parts` registers of a panel from the first on; rows and parts are
 * constants where this is inlined, here and below. */
VECTOR_INLINE void add_block(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                             size_t first, size_t parts, float (*sums)[KERNEL_PANEL]) {
    float32x4_t even[BF16_ROWS][PANEL_PARTS], odd[BF16_ROWS][PANEL_PARTS];
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (p, parts) even[r][p] = odd[r][p] = vdupq_n_f32(0.0f);
    }
    for (size_t k = 0; k < KERNEL_BF16_BLOCK; k += 2, w += STEP_BYTES) {
        float32x2_t values[BF16_ROWS];
        KERNEL_EACH (r, rows) values[r] = vld1_f32((const float *)(const void *)(x + r * row_bytes) + k);
        KERNEL_EACH (p, parts) {
            const uint32x4_t pair = vreinterpretq_u32_u8(vld1q_u8(w + (first + p) * PART_BYTES));
            const float32x4_t lower = vreinterpretq_f32_u32(vshlq_n_u32(pair, 16));
            const float32x4_t upper = vreinterpretq_f32_u32(vandq_u32(pair, vdupq_n_u32(0xffff0000u)));
            KERNEL_EACH (r, rows) {
                even[r][p] = vfmaq_lane_f32(even[r][p], lower, values[r], 0);
                odd[r][p] = vfmaq_lane_f32(odd[r][p], upper, values[r], 1);
            }
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (p, parts) {
            float *to = sums[r] + (first + p) * PART_LANES;
            vst1q_f32(to, vaddq_f32(vld1q_f32(to), vaddq_f32(even[r][p], odd[r][p])));
        }
    }
}

VECTOR_INLINE void add_bf16(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                            size_t padded, float (*sums)[KERNEL_PANEL]) {
    const size_t parts = PANEL_PARTS / rows;
    memset(sums, 0, rows * sizeof sums[0]);
    for (size_t k = 0; k < padded; k += KERNEL_BF16_BLOCK, panel += KERNEL_BF16_BLOCK / 2 * STEP_BYTES)
        for (size_t first = 0; first < PANEL_PARTS; first += parts)
            add_block(x + k * sizeof(float), row_bytes, rows, panel, first, parts, sums);
}

static void tile_bf16(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                      size_t padded, float (*sums)[KERNEL_PANEL]) {
    if (rows == 1)
        add_bf16(x, row_bytes, 1, panel, padded, sums);
    else if (rows == 2)
        add_bf16(x, row_bytes, 2, panel, padded, sums);
    else
        add_bf16(x, row_bytes, BF16_ROWS, panel, padded, sums);
}

/* ---- integers ---- */

/* sum += weights . q of the step'th step, by fours. The instruction takes the step as a constant. */
VECTOR_INLINE int32x4_t add_dot(int32x4_t sum, int8x16_t weights, int8x16_t q, size_t step) {
    switch (step) {
    case 0:
        return vdotq_laneq_s32(sum, weights, q, 0);
    case 1:
        return vdotq_laneq_s32(sum, weights, q, 1);
    case 2:
        return vdotq_laneq_s32(sum, weights, q, 2);
    default:
        return vdotq_laneq_s32(sum, weights, q, 3);
    }
}

/* Sixteen bytes of each row of activations: those of four steps. */
VECTOR_INLINE void load_steps(const unsigned char *x, size_t row_bytes, size_t rows, int8x16_t *q) {
    KERNEL_EACH (r, rows) q[r] = vld1q_s8((const int8_t *)x + r * row_bytes);
}

/* Integer sums of four columns to floats, times the scales of the weights. */
VECTOR_INLINE void scale_sums(int32x4_t whole, const float *scales, size_t column, float *sums) {
    vst1q_f32(sums + column, vmulq_f32(vcvtq_f32_s32(whole), vld1q_f32(scales + column)));
}

VECTOR_INLINE void part_int8(const unsigned char *x, size_t row_bytes, size_t rows,
                             const unsigned char *panel, size_t padded, size_t first, size_t parts,
                             float (*sums)[KERNEL_PANEL]) {
    int32x4_t sum[INT8_ROWS][PANEL_PARTS];
    const float *scales = (const float *)(const void *)(panel + padded * KERNEL_PANEL);
    const unsigned char *w = panel + first * PART_BYTES;
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (p, parts) sum[r][p] = vdupq_n_s32(0);
    }
    for (size_t k = 0; k < padded; k += 4 * STEPS) {
        int8x16_t q[INT8_ROWS];
        load_steps(x + k, row_bytes, rows, q);
        KERNEL_EACH (step, STEPS) {
            KERNEL_EACH (p, parts) {
                /* Without its offset of 128, a weight is signed. */
                const uint8x16_t weight = veorq_u8(vld1q_u8(w + p * PART_BYTES), vdupq_n_u8(0x80));
                KERNEL_EACH (r, rows) sum[r][p] = add_dot(sum[r][p], vreinterpretq_s8_u8(weight), q[r], step);
            }
            w += STEP_BYTES;
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (p, parts) scale_sums(sum[r][p], scales, (first + p) * PART_LANES, sums[r]);
    }
}

VECTOR_INLINE void add_int8(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                            size_t padded, float (*sums)[KERNEL_PANEL]) {
    const size_t parts = rows <= 2 ? PANEL_PARTS : PANEL_PARTS / 3;
    for (size_t first = 0; first < PANEL_PARTS; first += parts)
        part_int8(x, row_bytes, rows, panel, padded, first, parts, sums);
}

/* Steps and centres of four columns of an int4 group. */
struct int4_steps {
    int32x4_t m, c;
};

VECTOR_INLINE struct int4_steps load_int4_steps(const int8_t *steps) {
    const int32x4_t pairs = vreinterpretq_s32_s16(vmovl_s8(vld1_s8(steps)));
    return (struct int4_steps){.m = vshrq_n_s32(vshlq_n_s32(pairs, 16), 16), .c = vshrq_n_s32(pairs, 16)};
}

/* Exact sums of one group, added to `sum`. */
VECTOR_INLINE void add_group(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                             size_t parts, int32x4_t (*sum)[PANEL_PARTS]) {
    int8x16_t lower[INT4_ROWS], upper[INT4_ROWS];
    load_steps(x, row_bytes, rows, lower);
    load_steps(x + KERNEL_INT4_GROUP / 2, row_bytes, rows, upper);
    KERNEL_EACH (step, STEPS) {
        KERNEL_EACH (p, parts) {
            const uint8x16_t packed = vld1q_u8(w + step * STEP_BYTES + p * PART_BYTES);
            const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(packed, vdupq_n_u8(15)));
            const int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(packed, 4));
            KERNEL_EACH (r, rows) {
                sum[r][p] = add_dot(sum[r][p], low, lower[r], step);
                sum[r][p] = add_dot(sum[r][p], high, upper[r], step);
            }
        }
    }
}

/* The offset of the weights (8) is taken out at the start of each sum, as it is the same for all columns:
 * minus 8 times the sum of the activations. */
VECTOR_INLINE void part_int4(const unsigned char *x, size_t row_bytes, size_t rows,
                             const unsigned char *panel, size_t padded, size_t first, size_t parts,
                             float (*sums)[KERNEL_PANEL]) {
    const struct narrow_int4 weights = narrow_int4(panel, padded);
    const int8_t *steps = weights.steps + first * PART_LANES * 2;
    int32x4_t total[INT4_ROWS][PANEL_PARTS];
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (p, parts) total[r][p] = vdupq_n_s32(0);
    }
    for (size_t g = 0; g < padded / KERNEL_INT4_GROUP; g++, steps += KERNEL_PANEL * 2) {
        const unsigned char *w = panel + g * KERNEL_INT4_GROUP / 2 * KERNEL_PANEL + first * PART_BYTES;
        int32x4_t sum[INT4_ROWS][PANEL_PARTS];
        KERNEL_EACH (r, rows) {
            const int32x4_t start = vdupq_n_s32(-8 * narrow_sum(x + r * row_bytes, padded, 1 + g));
            KERNEL_EACH (p, parts) sum[r][p] = start;
        }
        add_group(x + g * KERNEL_INT4_GROUP, row_bytes, rows, w, parts, sum);
        KERNEL_EACH (p, parts) {
            const struct int4_steps step = load_int4_steps(steps + p * PART_LANES * 2);
            KERNEL_EACH (r, rows) {
                const int32_t sum_of_x = narrow_sum(x + r * row_bytes, padded, 1 + g);
                total[r][p] = vmlaq_s32(total[r][p], sum[r][p], step.m);
                total[r][p] = vmlaq_n_s32(total[r][p], step.c, sum_of_x);
            }
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (p, parts) scale_sums(total[r][p], weights.scales, (first + p) * PART_LANES, sums[r]);
    }
}

VECTOR_INLINE void add_int4(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                            size_t padded, float (*sums)[KERNEL_PANEL]) {
    const size_t parts = PANEL_PARTS / rows;
    for (size_t first = 0; first < PANEL_PARTS; first += parts)
        part_int4(x, row_bytes, rows, panel, padded, first, parts, sums);
}

static void tile_int8(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                      size_t padded, float (*sums)[KERNEL_PANEL]) {
    switch (rows) {
    case 1:
        add_int8(x, row_bytes, 1, panel, padded, sums);
        break;
    case 2:
        add_int8(x, row_bytes, 2, panel, padded, sums);
        break;
    case 3:
        add_int8(x, row_bytes, 3, panel, padded, sums);
        break;
    case 4:
        add_int8(x, row_bytes, 4, panel, padded, sums);
        break;
    case 5:
        add_int8(x, row_bytes, 5, panel, padded, sums);
        break;
    default:
        add_int8(x, row_bytes, INT8_ROWS, panel, padded, sums);
        break;
    }
}

static void tile_int4(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *panel,
                      size_t padded, float (*sums)[KERNEL_PANEL]) {
    switch (rows) {
    case 1:
        add_int4(x, row_bytes, 1, panel, padded, sums);
        break;
    case 2:
        add_int4(x, row_bytes, 2, panel, padded, sums);
        break;
    case 3:
        add_int4(x, row_bytes, 3, panel, padded, sums);
        break;
    default:
        add_int4(x, row_bytes, INT4_ROWS, panel, padded, sums);
        break;
    }
}

NARROW_DEFINE(gemm_bf16_neon, WEIGHT_TYPE_BF16, tile_bf16, KERNEL_ROWS_bf16_neon)
NARROW_DEFINE(gemm_int8_neon, WEIGHT_TYPE_INT8, tile_int8, KERNEL_ROWS_int8_neon)
NARROW_DEFINE(gemm_int4_neon, WEIGHT_TYPE_INT4, tile_int4, KERNEL_ROWS_int4_neon)
