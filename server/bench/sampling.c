#include "server/bench/tables.h"

#include <stdio.h>

#define ROUNDS 5
#define TOP_P  0.9

static const struct bench_generation shape = {.batch = 16, .prompt = 64, .tokens = 32};

/* Random weights are nearly flat at temperature 1, so that top_p leaves most of the vocabulary; a trained
 * model is so only when it is heated. Cooled, a few tokens have all the mass. */
static const double temperatures[] = {0, 1, 0.05};

enum { VARIANT_COUNT = sizeof temperatures / sizeof *temperatures };

struct timings {
    double seconds[VARIANT_COUNT][ROUNDS]; /* of the decode steps */
    double share[VARIANT_COUNT][ROUNDS];   /* of the greedy speed in the same round */
};

/* In turn: A B C A B C ... */
static enum status time_variants(struct bench_model *model, struct timings *t, struct error *e) {
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t v = 0; v < VARIANT_COUNT; v++) {
            struct bench_generation g = shape;
            g.temperature = temperatures[v];
            g.top_p = v == 0 ? 1 : TOP_P;
            enum status status = bench_generate(model, &g, &t->seconds[v][round], e);
            if (status != STATUS_OK) return status;
            t->share[v][round] = t->seconds[0][round] / t->seconds[v][round];
        }
    return STATUS_OK;
}

static void print_variant(const char *weights, double temperature, double tokens_per_s, double share) {
    char what[32] = "greedy";
    if (temperature > 0) snprintf(what, sizeof what, "at temperature %g", temperature);
    printf("%-7s %zu from the scheduler, %-20s %10.1f %7.1f %% of greedy\n", weights, shape.batch, what,
           tokens_per_s, 100 * share);
    fflush(stdout);
}

static void add_variant(json_t *rows, const char *weights, double temperature, double tokens_per_s,
                        double share) {
    json_array_append_new(rows, json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f}", "weights", weights, "batch",
                                          (json_int_t)shape.batch, "context", (json_int_t)shape.prompt,
                                          "temperature", temperature, "top_p", temperature > 0 ? TOP_P : 1.0,
                                          "tokens_per_s", tokens_per_s, "share_of_greedy", share));
}

enum status bench_sampling(struct bench_model *model, json_t *rows, struct error *e) {
    struct timings t;
    enum status status = time_variants(model, &t, e);
    if (status == STATUS_LIMIT) return STATUS_OK;
    if (status != STATUS_OK) return status;
    for (size_t v = 0; v < VARIANT_COUNT; v++) {
        double tokens_per_s = (double)(shape.batch * shape.tokens) / bench_median(t.seconds[v], ROUNDS);
        double share = bench_median(t.share[v], ROUNDS);
        if (rows)
            add_variant(rows, bench_weights(model), temperatures[v], tokens_per_s, share);
        else
            print_variant(bench_weights(model), temperatures[v], tokens_per_s, share);
    }
    return STATUS_OK;
}
