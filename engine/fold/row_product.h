/* The dot product that folding needs: of a row of weights and a vector, in double precision. Its own, so
 * that a model loads without OpenBLAS, and with the same bits whatever rows are folded together. */
#pragma once

#include <stddef.h>

#include "engine/base/widest.h"

/* Eight running sums (of i modulo 8), which are added as a tree at last. */
struct row_sums {
    double at[8];
};

/* Goes on with `count` more elements: a multiple of 8, but for the last ones. */
WIDEST_INLINE void row_sums_add(struct row_sums *s, const double *a, const double *b, size_t count) {
    struct row_sums sums = *s;
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (size_t k = 0; k < 8; k++) sums.at[k] += a[i + k] * b[i + k];
    for (size_t k = 0; i + k < count; k++) sums.at[k] += a[i + k] * b[i + k];
    *s = sums;
}

static inline double row_sums_total(const struct row_sums *s) {
    const double *at = s->at;
    return ((at[0] + at[4]) + (at[2] + at[6])) + ((at[1] + at[5]) + (at[3] + at[7]));
}

/* The sum of a[i] b[i]. */
static inline double row_product(const double *a, const double *b, size_t count) {
    struct row_sums sums = {{0}};
    row_sums_add(&sums, a, b, count);
    return row_sums_total(&sums);
}
