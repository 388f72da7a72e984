/* The bounds of the machine, as bench prints them, and what is compared with them. */
#pragma once

#include <jansson.h>

#include "engine/tools/tools.h"

void bench_bounds_print(const struct bench_bounds *bounds);

/* A new object: gigabytes and billions of operations a second. */
json_t *bench_bounds_json(const struct bench_bounds *bounds);

/* Operations of all weight types together. */
double bench_flops_sum(const double flops[WEIGHT_TYPE_COUNT]);
