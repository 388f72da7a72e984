/* What sampling costs: the same sequences greedy and sampled. */
#pragma once

#include <jansson.h>

#include "engine/tools/tools.h"

/* Prints the lines of the table (rows NULL), or adds them to rows. A model whose context is too short is
 * passed over. */
enum status bench_sampling(struct bench_model *model, json_t *rows, struct error *e);
