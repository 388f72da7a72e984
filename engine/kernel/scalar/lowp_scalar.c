/* GEMMs of low-precision weights in plain C: what every other set must equal, bit for bit. Microkernels take
 * a row at a time. */
#include "engine/kernel/scalar/vector_scalar.h"

#define KERNEL_SET scalar
#include "engine/kernel/template/lowp.h"

static void bf16_store(unsigned char *row, size_t i, struct vector v) {
    vector_store((float *)(void *)row + i, vector_round_bf16(v));
}

void convert_bf16_scalar(const struct activation_rows *rows, size_t row_first, size_t row_count) {
    convert_rows_bf16(rows, row_first, row_count, bf16_store);
}

static void bf16_microkernel(const unsigned char *row, size_t row_bytes, size_t rows,
                             const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                             const struct weight_prefetch *prefetch) {
    (void)row_bytes, (void)rows, (void)prefetch;
    const float *x = (const float *)(const void *)row;
    const uint16_t *w = (const uint16_t *)(const void *)part->weights;
    for (size_t n = part->columns.first; n < part->columns.end; n++) {
        sums[0][n] = 0.0f;
        for (size_t block = 0; block < part->padded; block += KERNEL_BF16_BLOCK) {
            float even_odd[2] = {0.0f, 0.0f};
            for (size_t k = block; k < block + KERNEL_BF16_BLOCK; k++) {
                uint16_t weight = w[(k / 2 * KERNEL_PANEL + n) * 2 + k % 2];
                even_odd[k % 2] = fmaf(x[k], kernel_bf16_to_float(weight), even_odd[k % 2]);
            }
            sums[0][n] += even_odd[0] + even_odd[1];
        }
    }
}

/* The sum of a group of a column. */
static int32_t int8_sum(const int8_t *q, const unsigned char *weights, size_t padded, size_t group,
                        size_t n) {
    const size_t group_k = kernel_int8_group_k(padded), first = group * group_k, left = padded - first;
    int32_t sum = 0;
    for (size_t k = first; k < first + (left < group_k ? left : group_k); k++)
        sum += q[k] * (weights[(k / 4 * KERNEL_PANEL + n) * 4 + k % 4] - 128);
    return sum;
}

static void int8_microkernel(const unsigned char *row, size_t row_bytes, size_t rows,
                             const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                             const struct weight_prefetch *prefetch) {
    (void)row_bytes, (void)rows, (void)prefetch;
    memset(sums[0], 0, sizeof sums[0]);
    for (size_t group = 0; group < kernel_int8_groups(part->padded); group++) {
        const float scale = lowp_group_scale(row, part->padded, group);
        for (size_t n = part->columns.first; n < part->columns.end; n++) {
            const int32_t sum = int8_sum((const int8_t *)row, part->weights, part->padded, group, n);
            sums[0][n] = fmaf((float)sum * part->scales[group * KERNEL_PANEL + n], scale, sums[0][n]);
        }
    }
}

void gemm_int8_groups_scalar(const struct lowp_gemm *m, size_t row, size_t panel, size_t first, size_t end,
                             float *products) {
    const size_t k = m->base.k, padded = kernel_padded_k(k);
    const unsigned char *x = m->x + row * kernel_row_bytes(WEIGHT_TYPE_INT8, k),
                        *weights = m->panels + panel * kernel_panel_bytes(WEIGHT_TYPE_INT8, k);
    const struct lowp_part part = lowp_part_of(WEIGHT_TYPE_INT8, weights, padded, 0, padded);
    announce_int8_groups(m, row, panel, end - first, products);
    for (size_t group = first; group < end; group++, products += KERNEL_PANEL)
        for (size_t n = 0; n < KERNEL_PANEL; n++)
            products[n] = (float)int8_sum((const int8_t *)x, weights, padded, group, n) *
                          part.scales[group * KERNEL_PANEL + n];
}

static void int4_microkernel(const unsigned char *row, size_t row_bytes, size_t rows,
                             const struct lowp_part *part, float (*sums)[KERNEL_PANEL],
                             const struct weight_prefetch *prefetch) {
    (void)row_bytes, (void)rows, (void)prefetch;
    const int8_t *x = (const int8_t *)row;
    for (size_t n = part->columns.first; n < part->columns.end; n++) {
        int32_t sum = 0;
        for (size_t k = 0; k < part->padded; k++) {
            const size_t g = k / KERNEL_INT4_GROUP, half = k % KERNEL_INT4_GROUP / (KERNEL_INT4_GROUP / 2);
            const size_t i = k % (KERNEL_INT4_GROUP / 2);
            const unsigned pair = part->weights[((g * 4 + i / 4) * KERNEL_PANEL + n) * 4 + i % 4];
            const int q = (int)(half ? pair >> 4 : pair & 15) - 8;
            const int8_t *group = part->groups + (g * KERNEL_PANEL + n) * 2; /* scale, offset */
            sum += x[k] * (int8_t)(group[0] * q + group[1]);
        }
        sums[0][n] = (float)sum * part->scales[n];
    }
}

/* All k at once: parts are for speed. */
#define DEFINE_GEMM(type_, TYPE)                                                                             \
    static const struct lowp_kernel type_##_kernel = {.type = TYPE,                                          \
                                                      .microkernel = type_##_microkernel,                    \
                                                      .tile_rows = KERNEL_ROWS_##type_##_scalar,             \
                                                      .part_k = SIZE_MAX};                                   \
    LOWP_DEFINE_GEMM(type_, type_##_kernel, type_##_kernel, 1)
DEFINE_GEMM(bf16, WEIGHT_TYPE_BF16)
DEFINE_GEMM(int8, WEIGHT_TYPE_INT8)
DEFINE_GEMM(int4, WEIGHT_TYPE_INT4)
