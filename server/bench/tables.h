/* The tables of `prenormd bench`, and what they share. They go to standard output, as text or as JSON. */
#pragma once

#include <jansson.h>

#include "config/config.h"
#include "engine/base/error.h"
#include "engine/tools/tools.h"
#include "server/bench/works.h"

/* Every kernel of every instruction set that runs here, beside the machine's bounds. --isa: of that set alone. */
enum status bench_kernels_print(const struct config *config, struct error *e);

/* The experiment of Jiang et al. 2023 on this engine: the same model, of folder, with LayerNorm, RMSNorm, CRMSNorm and
 * no norm. shape: its name, for the heading. */
enum status bench_norms(const struct config *config, const char *folder, const char *shape, struct error *e);

/* Steps on 1 to 64 threads, simulated with what cache lines cost here: those that --works chose, or some. */
enum status bench_threads_print(const struct config *config, const struct bench_choice *choice,
                                struct bench_model *model, struct error *e);

/* What sampling costs: the same sequences greedy and sampled. Prints the lines of the table (rows NULL), or adds
 * them to rows. A model whose context is too short is passed over. */
enum status bench_sampling(struct bench_model *model, json_t *rows, struct error *e);

/* Whether a benchmark measures the memory: weights that fit into the last-level cache may never leave it. A line;
 * which shapes are larger, where these weights are not. */
void bench_cache_print(const struct bench_bounds *bounds, size_t weight_bytes, enum weight_type weights);

/* The same as an object; the caller's. NULL without memory. */
json_t *bench_cache_json(const struct bench_bounds *bounds, size_t weight_bytes, enum weight_type weights);

/* The bounds of the machine in a line, and as a new object: gigabytes and billions of operations a second. */
void bench_bounds_print(const struct bench_bounds *bounds);
json_t *bench_bounds_json(const struct bench_bounds *bounds);

/* Operations of all types together. */
double bench_flops_sum(const double flops[WEIGHT_TYPE_COUNT]);

/* The median of a few timings, which it sorts. count > 0. */
double bench_median(double *values, size_t count);

/* Digits of a measured number in JSON: more than any measurement has. */
#define BENCH_JSON_DIGITS 6
