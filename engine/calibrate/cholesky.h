/* The Cholesky factor of a positive definite matrix, in double precision, on all compute threads. Own, so that it has
 * the same bits for any number of threads and on any machine, and needs no OpenBLAS. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/workers.h"

/* a [n, n] by rows, of which the lower triangle is read, becomes L with L L' = a, in that triangle; what the upper one
 * has is of no use then. False where a is not positive definite, or not finite: what a holds then is of no use. */
bool cholesky_factor(double *a, size_t n, struct workers *workers);
