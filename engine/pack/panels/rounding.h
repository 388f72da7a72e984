/* How numbers become levels, and the scales and offsets among which a group of int4 weights chooses: for packing and
 * calibration alike. */
#pragma once

#include "engine/base/widest.h"
#include "engine/kernel/kernel.h"

/* 15 of them from -127 to 127. */
#define INT4_SCALE_MAX 16

/* Scales beside the one that spans the group, and offsets beside its middle, to either side. */
enum { INT4_WIDER_MOST = 1, INT4_SHIFT_MOST = 2 };

WIDEST_INLINE float clamped(float value, float least, float most) {
    value = value < least ? least : value;
    return value > most ? most : value;
}

/* To the nearest integer, ties to even; of magnitude 2^22 at most. */
WIDEST_INLINE float rounded(float value) {
    return value + KERNEL_ROUNDING_SHIFT - KERNEL_ROUNDING_SHIFT;
}

/* Of a group from low to high, in units of its row's scale. Candidates are scales with which sixteen levels span about the
 * whole group, and offsets about its middle, half a scale to either side: where the levels fall matters more than that they
 * reach the extremes. wider: -INT4_WIDER_MOST to INT4_WIDER_MOST; by likewise. */
WIDEST_INLINE void int4_candidate(float low, float high, int wider, int by, float *m, float *c) {
    const float spanning = rounded(0.95f * (high - low) / 15);
    const float scale = clamped(spanning + (float)wider, 1, INT4_SCALE_MAX);
    const float middle = rounded((low + high + scale) / 2);
    const float shift = scale < 4 ? 1 : rounded(scale / 4);
    *m = scale;
    *c = clamped(middle + shift * (float)by, 8 * scale - 127, 127 - 7 * scale);
}
