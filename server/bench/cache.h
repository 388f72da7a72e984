/* Whether a benchmark measures the memory: weights that fit into the last-level cache may never leave it. */
#pragma once

#include <jansson.h>

#include "engine/tools/tools.h"

/* A line on standard output; which shapes are larger, where these weights are not. */
void bench_cache_print(const struct bench_bounds *bounds, size_t weight_bytes, enum weight_type weights);

/* The same as an object; the caller's. NULL without memory. */
json_t *bench_cache_json(const struct bench_bounds *bounds, size_t weight_bytes, enum weight_type weights);
