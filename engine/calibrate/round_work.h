/* Rounding a panel of weights with error feedback: what its types have in common (round_panel.c) and what each does for
 * itself (round_int4.c, round_int8.c). All rows of a panel go on together, a lane each. In float; orders are fixed, and
 * products of blocks are the kernels', so the bits are the same everywhere. These files are compiled as if all numbers
 * were finite, which they are, as int4_group.c is: only so the compiler vectorizes them. */
#pragma once

#include "engine/calibrate/factor.h"
#include "engine/pack/panels/rounding.h"

#define GROUP KERNEL_INT4_GROUP /* of k, that is moved and rounded together */
#define LANES KERNEL_PANEL
_Static_assert(KERNEL_LOWP_K % GROUP == 0, "a group of int8 is of whole groups");

/* A weight of each row, or what belongs to it. */
struct lanes {
    float at[LANES];
};

/* A panel at work. */
struct work {
    const struct factor *factor;
    const struct kernel_table *kernels;
    struct lanes *weights, *errors; /* [padded in]: in units of their rows' scales */
    /* [groups], in the same units: of int4 each group's; int8 has scales alone, one for each group of int8. */
    struct lanes *scales, *offsets;
};

/* What a type does. */
struct rounding {
    /* Weights of a group beyond the last input are its first ones again, as where panels are packed; else 0. */
    bool repeats;
    /* Of each row 1 / its unit, or 0 where it stays as it is; sets the scales of the work where they do not change. */
    void (*begin)(const struct work *w, const void *panel, double inverse[LANES]);
    float (*stored)(const struct work *w, const void *panel, size_t k, size_t n);
    /* Rounds group `at` of a stretch, behind which all have been rounded: sets its errors. */
    void (*fit)(const struct work *w, size_t stretch, size_t at);
    void (*write_row)(const struct work *w, size_t n, void *panel);
};

extern const struct rounding round_int4, round_int8;

static inline size_t round_padded(size_t in) {
    return (in + GROUP - 1) / GROUP * GROUP;
}

/* By its bits, as no number is infinite or NaN in these files. */
bool round_is_finite(float scale);

/* 0 for a scale that is 0, subnormal, infinite or NaN; else 1 / scale. */
double round_inverse_of(float scale);

/* Group `at` of a stretch plus what the groups behind it leave, which is their errors by the factor. residual, out:
 * [GROUP]. */
void round_move_group(const struct work *w, size_t stretch, size_t at, const struct lanes *residual,
                      struct lanes *out);

/* Weight k of group `at` of a stretch, which is moved as far as that, plus what the weights behind it in its own group
 * leave. errors: [GROUP]. */
static inline struct lanes round_moved(const struct work *w, size_t stretch, size_t at, size_t k,
                                       const struct lanes *moved, const struct lanes *errors) {
    const struct factor *f = w->factor;
    const float *feedback = f->feedback + (stretch * f->width + at + k) * f->width + at;
    struct lanes x = *moved;
    for (size_t j = k + 1; j < GROUP; j++)
        for (size_t n = 0; n < LANES; n++) x.at[n] += feedback[j] * errors[j].at[n];
    return x;
}
