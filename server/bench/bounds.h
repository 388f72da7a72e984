/* The bounds of the machine, told. */
#pragma once

#include <jansson.h>

#include "engine/tools/tools.h"

void bench_bounds_print(const struct bench_bounds *bounds);

/* A new object: gigabytes and billions of operations a second. */
json_t *bench_bounds_json(const struct bench_bounds *bounds);
