/* The dot product that folding needs: of a row of weights and a vector, in double precision. Its own, so
 * that a model loads without OpenBLAS, and with the same bits whatever rows are folded together. */
#pragma once

#include <stddef.h>

/* The sum of a[i] b[i]: eight running sums (of i modulo 8), then added as a tree. */
static inline double row_product(const double *a, const double *b, size_t count) {
    double sums[8] = {0};
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (size_t k = 0; k < 8; k++) sums[k] += a[i + k] * b[i + k];
    for (size_t k = 0; i + k < count; k++) sums[k] += a[i + k] * b[i + k];
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}
