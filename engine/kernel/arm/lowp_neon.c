/* GEMMs of low-precision weights with NEON, integers by its dot products of four signed bytes (FEAT_DotProd).
 * Tiles take a whole panel for few rows, and a part of it for more, so that all accumulators live in the 32
 * registers. */
#include "engine/kernel/arm/vector_neon.h"

#include "engine/kernel/template/prefetch.h"

#define KERNEL_SET neon
/* bf16 has two accumulators a sum, int4 two registers of activations a row. */
#define BF16_ROWS            3
#define BF16_BLOCK_ROWS      BF16_ROWS
#define BF16_REGISTERS(rows) (PANEL_REGISTERS / (rows))
#define BF16_ROW_BYTES       sizeof(float)
#define INT8_ROWS            6
#define INT8_REGISTERS(rows) ((rows) <= 2 ? PANEL_REGISTERS : PANEL_REGISTERS / 3)
#define INT8_STEP            16 /* a register of a row of activations */
#define INT8_COMPENSATION    0
#define INT4_ROWS            4
#define INT4_COMPENSATION    8
#define INT4_REGISTERS(rows) (PANEL_REGISTERS / (rows))
#define LINE_BYTES           (KERNEL_PANEL * 4) /* of a panel: 2 of k for bf16, 4 for int8, 8 for int4 */
#define DOTS                 4                  /* fours of k in a register of activations */

/* ---- bf16 ---- */

static void bf16_store(unsigned char *row, size_t i, struct vector v) {
    vector_store((float *)(void *)row + i, vector_round_bf16(v));
}

/* Even and odd k at once: a multiplication by a lane takes either of two activations. rows and registers are
 * constants where this is inlined, here and below. */
VECTOR_INLINE void bf16_block(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              size_t registers, unsigned char *keep, const struct weight_prefetch *prefetch,
                              float32x4_t (*even)[PANEL_REGISTERS], float32x4_t (*odd)[PANEL_REGISTERS]) {
    (void)keep, (void)prefetch;
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, registers) even[r][v] = odd[r][v] = register_zero();
    }
    for (size_t k = 0; k < KERNEL_BF16_BLOCK; k += 2, w += LINE_BYTES) {
        float32x2_t values[BF16_ROWS];
        KERNEL_EACH (r, rows) values[r] = vld1_f32((const float *)(const void *)(x + r * row_bytes) + k);
        KERNEL_EACH (v, registers) {
            const uint32x4_t pair = vreinterpretq_u32_u8(vld1q_u8(w + v * REGISTER_BYTES));
            const float32x4_t lower = vreinterpretq_f32_u32(vshlq_n_u32(pair, 16));
            const float32x4_t upper = vreinterpretq_f32_u32(vandq_u32(pair, vdupq_n_u32(0xffff0000u)));
            KERNEL_EACH (r, rows) {
                even[r][v] = vfmaq_lane_f32(even[r][v], lower, values[r], 0);
                odd[r][v] = vfmaq_lane_f32(odd[r][v], upper, values[r], 1);
            }
        }
    }
}

/* ---- integers ---- */

VECTOR_INLINE int32x4_t int_splat(int32_t value) {
    return vdupq_n_s32(value);
}

VECTOR_INLINE int32x4_t int_load(const float *sums) {
    return vreinterpretq_s32_f32(vld1q_f32(sums));
}

VECTOR_INLINE void int_keep(int32x4_t sum, float *sums) {
    vst1q_f32(sums, vreinterpretq_f32_s32(sum));
}

VECTOR_INLINE float32x4_t int_scaled(int32x4_t whole, const float *scales) {
    return vmulq_f32(vcvtq_f32_s32(whole), vld1q_f32(scales));
}

VECTOR_INLINE void int_store(int32x4_t whole, const float *scales, float *sums) {
    vst1q_f32(sums, int_scaled(whole, scales));
}

VECTOR_INLINE void int_add_scaled(int32x4_t whole, const float *scales, float scale, bool starts,
                                  float *sums) {
    const float32x4_t sum = starts ? register_zero() : vld1q_f32(sums);
    vst1q_f32(sums, vfmaq_n_f32(sum, int_scaled(whole, scales), scale));
}

/* sum += weights . q of the dot'th four of k. The instruction takes it as a constant. */
VECTOR_INLINE int32x4_t add_dot(int32x4_t sum, int8x16_t weights, int8x16_t q, size_t dot) {
    switch (dot) {
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

/* Sixteen bytes of each row of activations. */
VECTOR_INLINE void load_activations(const unsigned char *x, size_t row_bytes, size_t rows, int8x16_t *q) {
    KERNEL_EACH (r, rows) q[r] = vld1q_s8((const int8_t *)x + r * row_bytes);
}

VECTOR_INLINE void int8_step(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                             size_t registers, int32x4_t (*sum)[PANEL_REGISTERS]) {
    int8x16_t q[INT8_ROWS];
    load_activations(x, row_bytes, rows, q);
    KERNEL_EACH (dot, DOTS) {
        KERNEL_EACH (v, registers) {
            /* With its sign bit turned, and so without the 128 that was added, a weight is signed. */
            const uint8x16_t bytes = vld1q_u8(w + dot * LINE_BYTES + v * REGISTER_BYTES);
            const int8x16_t weight = vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(0x80)));
            KERNEL_EACH (r, rows) sum[r][v] = add_dot(sum[r][v], weight, q[r], dot);
        }
    }
}

VECTOR_INLINE void int4_group(const unsigned char *x, size_t row_bytes, size_t rows, const unsigned char *w,
                              size_t registers, int32x4_t (*sum)[PANEL_REGISTERS]) {
    int8x16_t lower[INT4_ROWS], upper[INT4_ROWS];
    load_activations(x, row_bytes, rows, lower);
    load_activations(x + KERNEL_INT4_GROUP / 2, row_bytes, rows, upper);
    KERNEL_EACH (dot, DOTS) {
        KERNEL_EACH (v, registers) {
            const uint8x16_t packed = vld1q_u8(w + dot * LINE_BYTES + v * REGISTER_BYTES);
            const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(packed, vdupq_n_u8(15)));
            const int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(packed, 4));
            KERNEL_EACH (r, rows) {
                sum[r][v] = add_dot(sum[r][v], low, lower[r], dot);
                sum[r][v] = add_dot(sum[r][v], high, upper[r], dot);
            }
        }
    }
}

struct int4_scales {
    int32x4_t scale, offset;
};

VECTOR_INLINE struct int4_scales int4_load_scales(const int8_t *groups) {
    const int32x4_t pairs = vreinterpretq_s32_s16(vmovl_s8(vld1_s8(groups)));
    return (struct int4_scales){.scale = vshrq_n_s32(vshlq_n_s32(pairs, 16), 16),
                                .offset = vshrq_n_s32(pairs, 16)};
}

VECTOR_INLINE void int4_add_group(int32x4_t *total, int32x4_t sum, struct int4_scales scales,
                                  int32_t sum_of_x) {
    *total = vmlaq_s32(*total, sum, scales.scale);
    *total = vmlaq_n_s32(*total, scales.offset, sum_of_x);
}

#include "engine/kernel/template/lowp_bf16.h"
#include "engine/kernel/template/lowp_int.h"

_Static_assert(BF16_ROWS == KERNEL_ROWS_bf16_neon && INT8_ROWS == KERNEL_ROWS_int8_neon &&
                   INT4_ROWS == KERNEL_ROWS_int4_neon,
               "as in kernels.def");
