/* The median of a few timings. */
#pragma once

#include <stddef.h>

/* Sorts values. count > 0. */
double median(double *values, size_t count);
