/* Quantization of a group of weights to int4. This is most of the time that packing takes: it is compiled as
 * if all numbers were finite, which they are, since only so the compiler vectorizes it. */
#include "engine/pack/panels/int4_group.h"

#include <float.h>

#define SCALE_MAX 16 /* 15 of them from -127 to 127 */
#define LANES     8  /* sums in an order that does not depend on how the compiler vectorizes */

static float clamped(float value, float least, float most) {
    value = value < least ? least : value;
    return value > most ? most : value;
}

static float rounded(float value) {
    return value + KERNEL_ROUNDING_SHIFT - KERNEL_ROUNDING_SHIFT;
}

/* The nearest level of x, before it is multiplied by m and moved by c. */
static float level_of(float x, float inverse_m, float c) {
    return rounded(clamped((x - c) * inverse_m, -8, 7));
}

static float squared_error(const float *x, float m, float c) {
    float lanes[LANES] = {0}, sum = 0;
    const float inverse_m = 1 / m;
    for (size_t i = 0; i < KERNEL_INT4_GROUP; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++) {
            const float error = x[i + lane] - (m * level_of(x[i + lane], inverse_m, c) + c);
            lanes[lane] += error * error;
        }
    for (size_t lane = 0; lane < LANES; lane++) sum += lanes[lane];
    return sum;
}

static void range_of(const float *x, float *low, float *high) {
    *low = *high = x[0];
    for (size_t i = 1; i < KERNEL_INT4_GROUP; i++) {
        *low = x[i] < *low ? x[i] : *low;
        *high = x[i] > *high ? x[i] : *high;
    }
}

/* Candidates are scales with which sixteen levels span about the whole group, and offsets about its middle,
 * half a scale to either side: where the levels fall matters more than that they reach the extremes. */
void int4_group_fit(struct int4_group *group) {
    float low, high, least = FLT_MAX, best_m = 1, best_c = 0;
    range_of(group->x, &low, &high);
    const float spanning = rounded(0.95f * (high - low) / 15);
    for (int wider = -1; wider <= 1; wider++) {
        const float m = clamped(spanning + (float)wider, 1, SCALE_MAX);
        const float middle = rounded((low + high + m) / 2), shift = m < 4 ? 1 : rounded(m / 4);
        for (int by = -2; by <= 2; by++) {
            const float c = clamped(middle + shift * (float)by, 8 * m - 127, 127 - 7 * m);
            const float error = squared_error(group->x, m, c);
            if (error >= least) continue;
            least = error, best_m = m, best_c = c;
        }
    }
    group->m = (int8_t)best_m, group->c = (int8_t)best_c;
    for (size_t i = 0; i < KERNEL_INT4_GROUP; i++)
        group->q[i] = (int8_t)level_of(group->x[i], 1 / best_m, best_c);
}
