/* H = L D L' of a linear's inputs (hessian.h), as error feedback reads it: what the rounding of an input's weight adds
 * to the others', and how much an error of each then matters.
 *
 * For the errors E of a row of weights, E H E' = sum over k of D[k] (E[k] + sum over j > k of E[j] L[j][k])^2. So columns
 * are rounded from the last to the first, each moved before by what those behind it have left: GPTQ (Frantar et al.
 * 2022, arXiv 2210.17323) in the form of LDLQ (Chee et al. 2023, arXiv 2307.13304). */
#pragma once

#include "engine/calibrate/hessian.h"

/* Part of the mean of H's diagonal that is added to all of it: channels that the text never moves are not free. */
#define FACTOR_RIDGE 0.01

struct factor {
    size_t in, stretch, stretches; /* as in struct hessian */
    size_t width;                  /* a stretch's, of whole groups */
    float *feedback;               /* [stretches][width][width]: [k][j] = L[j][k] for j > k, else 0 */
    float *weight;                 /* [stretches][width]: D; 0 beyond the inputs */
    double *ridge;                 /* [stretches]: that was added */
};

/* For a hessian that was made for the same sizes. On failure *f holds nothing. */
enum status factor_init(struct factor *f, size_t in_max, size_t stretch_max, struct error *e);
void factor_deinit(struct factor *f);
size_t factor_bytes(size_t in_max, size_t stretch_max);

/* Consumes the sums of h. STATUS_MALFORMED: they are not finite. */
enum status factor_make(struct factor *f, struct hessian *h, struct workers *workers, struct error *e);
