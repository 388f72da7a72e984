/* Weights of int8: each group of k keeps the scale that it was packed with, which the largest of its weights decides. (A
 * smaller one cuts that weight off: at 8 bits this costs what the finer step of the others wins.) */
#include "engine/calibrate/round_work.h"

#define LEVEL_MAX 127
/* Scales of a row that are less than this part of its largest are taken for 0: their inverses might be infinite, and what
 * their weights say is lost in the sums in any case. */
#define RATIO_MIN 0x1p-100

static uint8_t *byte_of(const void *panel, size_t k, size_t n) {
    return (uint8_t *)(uintptr_t)panel + (k / 4 * LANES + n) * 4 + k % 4;
}

static const float *scales_of(const void *panel, size_t in) {
    const char *end = (const char *)panel + kernel_padded_k(in) * LANES;
    return (const float *)(const void *)end;
}

/* A row's unit is its largest scale, and it stays as it is where one of them is infinite or NaN. Weights of a group whose
 * scale is 0 or subnormal, or next to nothing beside the unit, stay as they are too. */
static void begin(const struct work *w, const void *panel, double inverse[LANES]) {
    const size_t in = w->factor->in, groups = kernel_int8_groups(in);
    const float *scales = scales_of(panel, in);
    for (size_t n = 0; n < LANES; n++) {
        double least = 0;
        bool finite = true;
        for (size_t g = 0; g < groups; g++) {
            const double group = round_inverse_of(scales[g * LANES + n]);
            if (group != 0 && (least == 0 || group < least)) least = group;
            finite = finite && round_is_finite(scales[g * LANES + n]);
        }
        inverse[n] = finite ? least : 0;
        for (size_t g = 0; g < groups; g++) {
            const float scale = scales[g * LANES + n];
            const double ratio =
                inverse[n] != 0 && round_inverse_of(scale) != 0 ? (double)scale * inverse[n] : 0;
            w->scales[g].at[n] = ratio >= RATIO_MIN ? (float)ratio : 0;
        }
    }
}

static float stored(const struct work *w, const void *panel, size_t k, size_t n) {
    const int q = *byte_of(panel, k, n) - 128;
    return w->scales[k / kernel_int8_group_k(w->factor->in)].at[n] * (float)q;
}

static void fit(const struct work *w, size_t stretch, size_t at) {
    const struct factor *f = w->factor;
    const size_t first = stretch * f->stretch + at;
    const struct lanes *scale = &w->scales[first / kernel_int8_group_k(f->in)];
    struct lanes target[GROUP], inverse, *errors = w->errors + first;
    round_move_group(w, stretch, at, w->weights + first, target);
    for (size_t n = 0; n < LANES; n++) inverse.at[n] = scale->at[n] > 0 ? 1 / scale->at[n] : 0;
    for (size_t k = GROUP; k-- > 0;) {
        const struct lanes x = round_moved(w, stretch, at, k, &target[k], errors);
        for (size_t n = 0; n < LANES; n++) {
            const float level = rounded(clamped(x.at[n] * inverse.at[n], -LEVEL_MAX, LEVEL_MAX));
            errors[k].at[n] = w->weights[first + k].at[n] - scale->at[n] * level;
        }
    }
}

static void write_row(const struct work *w, size_t n, void *panel) {
    const size_t group_k = kernel_int8_group_k(w->factor->in);
    for (size_t k = 0; k < w->factor->in; k++) {
        const float scale = w->scales[k / group_k].at[n];
        if (scale > 0)
            *byte_of(panel, k, n) =
                (uint8_t)(128 + (int)rounded((w->weights[k].at[n] - w->errors[k].at[n]) / scale));
    }
}

const struct rounding round_int8 = {.begin = begin, .stored = stored, .fit = fit, .write_row = write_row};
