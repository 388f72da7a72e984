/* Weights in double precision to the panels that kernels read: each rounded once, to the type that is stored
 * (int4: to float, then to a level). */
#include "engine/pack/panels/panels.h"

#include <assert.h>
#include <float.h>
#include <math.h>

#include "engine/pack/panels/int4_group.h"

/* ---- one panel of each type: `rows` rows of w, zeros for the others ---- */

#define BLOCK 8 /* doubles of a cache line */

static void pack_panel_f32(const double *w, size_t rows, size_t k, float *panel) {
    for (size_t first = 0; first < k; first += BLOCK) {
        const size_t end = first + BLOCK < k ? first + BLOCK : k;
        for (size_t n = 0; n < rows; n++)
            for (size_t i = first; i < end; i++) panel[i * KERNEL_PANEL + n] = (float)w[n * k + i];
        for (size_t i = first; i < end; i++)
            for (size_t n = rows; n < KERNEL_PANEL; n++) panel[i * KERNEL_PANEL + n] = 0.0f;
    }
}

/* Once, from the double: 8 bits of significand, to nearest even. */
static uint16_t bf16_of_double(double value) {
    uint64_t bits;
    if (value != value) return 0x7fc0;
    if (fabs(value) < (double)KERNEL_BF16_MIN) return 0;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + (((uint64_t)1 << 44) - 1) + (bits >> 45 & 1)) >> 45 << 45;
    memcpy(&value, &bits, sizeof value);
    return kernel_bf16_of((float)value); /* exact, or infinite */
}

static void pack_panel_bf16(const double *w, size_t rows, size_t k, uint16_t *panel) {
    memset(panel, 0, kernel_panel_bytes(WEIGHT_TYPE_BF16, k));
    for (size_t n = 0; n < rows; n++)
        for (size_t i = 0; i < k; i++)
            panel[(i / 2 * KERNEL_PANEL + n) * 2 + i % 2] = bf16_of_double(w[n * k + i]);
}

/* The largest magnitude; NaN when one of them is not finite. By lanes, so that no number waits for the one before. */
static double largest_of(const double *w, size_t count) {
    const size_t whole = count - count % BLOCK;
    double largest[BLOCK] = {0}, poison[BLOCK] = {0};
    for (size_t first = 0; first < whole; first += BLOCK) {
        for (size_t i = 0; i < BLOCK; i++) {
            largest[i] = fabs(w[first + i]) > largest[i] ? fabs(w[first + i]) : largest[i];
            poison[i] += w[first + i] * 0;
        }
    }
    for (size_t i = whole; i < count; i++) {
        largest[0] = fabs(w[i]) > largest[0] ? fabs(w[i]) : largest[0];
        poison[0] += w[i] * 0;
    }
    for (size_t i = 1; i < BLOCK; i++) {
        largest[0] = largest[i] > largest[0] ? largest[i] : largest[0];
        poison[0] += poison[i];
    }
    return largest[0] + poison[0];
}

/* round(value) within [least, most]. */
static int quantized(double value, int least, int most) {
    value = value < least ? least : value > most ? most : value;
    return (int)(value + 0x1.8p52 - 0x1.8p52);
}

/* NaN for weights that are not finite, and q is 0: so are the results. */
static float scale_of(double largest, double levels) {
    return fabs(largest) <= (double)FLT_MAX * levels ? (float)(largest / levels) : NAN;
}

/* What a weight is multiplied by: 0 where the scale is 0 or NaN. */
static double inverse_of(float scale) {
    return fabsf(scale) >= FLT_MIN ? 1 / (double)scale : 0;
}

/* A group of a row, from its first weight on; returns its scale. */
static float pack_group_int8(const double *w, size_t count, uint8_t *packed) {
    const float scale = scale_of(largest_of(w, count), 127);
    const double inverse = inverse_of(scale);
    for (size_t i = 0; inverse != 0 && i < count; i++)
        packed[i / 4 * KERNEL_PANEL * 4 + i % 4] = (uint8_t)(128 + quantized(w[i] * inverse, -127, 127));
    return scale;
}

static void pack_panel_int8(const double *w, size_t rows, size_t k, uint8_t *panel) {
    const size_t padded = kernel_padded_k(k), group_k = kernel_int8_group_k(k);
    float *scales = (float *)(void *)(panel + padded * KERNEL_PANEL);
    memset(panel, 128, padded * KERNEL_PANEL);
    for (size_t first = 0; first < padded; first += group_k, scales += KERNEL_PANEL) {
        const size_t left = k > first ? k - first : 0, count = left < group_k ? left : group_k;
        memset(scales, 0, KERNEL_PANEL * sizeof *scales);
        for (size_t n = 0; n < rows; n++)
            scales[n] = pack_group_int8(w + n * k + first, count, panel + first * KERNEL_PANEL + n * 4);
    }
}

/* ---- int4: a group of weights to 4 bits each ---- */

/* `count` weights; those beyond, whose activations are 0, repeat them. */
static void pack_group_int4(const double *w, size_t count, double inverse, uint8_t *packed,
                            int8_t *scale_offset) {
    struct int4_group group;
    for (size_t i = 0; i < KERNEL_INT4_GROUP; i++) group.x[i] = (float)(w[i % count] * inverse);
    int4_group_fit(&group);
    for (size_t i = 0; i < KERNEL_INT4_GROUP / 2; i++)
        packed[i / 4 * KERNEL_PANEL * 4 + i % 4] =
            (uint8_t)(group.q[i] + 8 + (group.q[i + KERNEL_INT4_GROUP / 2] + 8) * 16);
    scale_offset[0] = group.m;
    scale_offset[1] = group.c;
}

static void pack_panel_int4(const double *w, size_t rows, size_t k, uint8_t *panel) {
    const size_t padded = kernel_padded_k(k);
    int8_t *groups = (int8_t *)panel + padded / 2 * KERNEL_PANEL;
    float scales[KERNEL_PANEL] = {0};
    memset(panel, 0x88, padded / 2 * KERNEL_PANEL);
    memset(groups, 0, padded / KERNEL_INT4_GROUP * KERNEL_PANEL * 2);
    for (size_t n = 0; n < rows; n++) {
        const double *row = w + n * k;
        scales[n] = scale_of(largest_of(row, k), 127);
        const double inverse = inverse_of(scales[n]);
        for (size_t first = 0; inverse != 0 && first < k; first += KERNEL_INT4_GROUP)
            pack_group_int4(row + first, k - first < KERNEL_INT4_GROUP ? k - first : KERNEL_INT4_GROUP,
                            inverse, panel + first / 2 * KERNEL_PANEL + n * 4,
                            groups + (first / KERNEL_INT4_GROUP * KERNEL_PANEL + n) * 2);
    }
    memcpy(groups + padded / KERNEL_INT4_GROUP * KERNEL_PANEL * 2, scales, sizeof scales);
}

void panels_pack(enum weight_type type, const double *w, size_t first, size_t count, size_t k, void *panels) {
    assert(first % KERNEL_PANEL == 0);
    const size_t bytes = kernel_panel_bytes(type, k);
    for (size_t row = 0; row < count; row += KERNEL_PANEL) {
        void *panel = (char *)panels + (first + row) / KERNEL_PANEL * bytes;
        const size_t rows = count - row < KERNEL_PANEL ? count - row : KERNEL_PANEL;
        switch (type) {
        case WEIGHT_TYPE_BF16:
            pack_panel_bf16(w + row * k, rows, k, panel);
            break;
        case WEIGHT_TYPE_INT8:
            pack_panel_int8(w + row * k, rows, k, panel);
            break;
        case WEIGHT_TYPE_INT4:
            pack_panel_int4(w + row * k, rows, k, panel);
            break;
        case WEIGHT_TYPE_F32:
        case WEIGHT_TYPE_COUNT:
            pack_panel_f32(w + row * k, rows, k, panel);
            break;
        }
    }
}
