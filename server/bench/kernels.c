#include "server/bench/tables.h"

#include <math.h>
#include <stdio.h>

#define ROUNDS   5
#define ISAS_MAX 16

/* Share of the rate that the machine's bounds allow; 0 for operations on what is in a cache, which have none. */
static double share_of_bound(const struct bench_kernel *line, double seconds,
                             const struct bench_bounds *bounds) {
    return fmax(line->bytes / bounds->read_bytes_per_s, line->flops_as_f32 / bounds->sgemm_flop_per_s) /
           seconds;
}

static void print_line(const struct bench_kernel *line, double seconds, double share) {
    printf("%-10s %-5s %4zu  %-10s %12.2f", line->operation, line->type, line->rows, line->isa,
           seconds * 1e6);
    if (line->bytes > 0)
        printf(" %8.2f %8.1f %7.0f %%", line->bytes / seconds * 1e-9, line->flops / seconds * 1e-9,
               100 * share);
    putchar('\n');
    fflush(stdout);
}

static void add_line(json_t *results, const struct bench_kernel *line, double seconds, double share) {
    json_t *object = json_pack("{s:s, s:s, s:I, s:s, s:f}", "operation", line->operation, "type", line->type,
                               "rows", (json_int_t)line->rows, "isa", line->isa, "seconds", seconds);
    if (line->bytes > 0)
        json_object_update_new(object, json_pack("{s:f, s:f, s:f}", "gb_per_s", line->bytes / seconds * 1e-9,
                                                 "gflop_per_s", line->flops / seconds * 1e-9,
                                                 "share_of_bound", share));
    json_array_append_new(results, object);
}

/* One operation with all instruction sets in turn, A B C A B C. */
static enum status run_group(struct bench_kernels *b, size_t first, const struct bench_bounds *bounds,
                             json_t *results, struct error *e) {
    const size_t isas = bench_kernels_isas(b);
    double seconds[ISAS_MAX][ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < isas && i < ISAS_MAX; i++) {
            enum status status = bench_kernels_run(b, first + i, &seconds[i][round], e);
            if (status != STATUS_OK) return status;
        }
    for (size_t i = 0; i < isas && i < ISAS_MAX; i++) {
        struct bench_kernel line;
        bench_kernels_at(b, first + i, &line);
        const double middle = bench_median(seconds[i], ROUNDS), share = share_of_bound(&line, middle, bounds);
        if (results)
            add_line(results, &line, middle, share);
        else
            print_line(&line, middle, share);
    }
    return STATUS_OK;
}

static enum status print_json(json_t *results, const struct bench_bounds *bounds, struct error *e) {
    json_t *root =
        json_pack("{s:{s:f, s:f}, s:O}", "bounds", "read_gb_per_s", bounds->read_bytes_per_s * 1e-9,
                  "sgemm_gflop_per_s", bounds->sgemm_flop_per_s * 1e-9, "kernels", results);
    return bench_print_json(root, BENCH_JSON_DIGITS, e);
}

enum status bench_kernels_print(const struct config *config, struct error *e) {
    struct bench_bounds bounds;
    struct bench_kernels *b = NULL;
    enum status status = bench_kernels_open(config->isa, &b, e);
    if (status == STATUS_OK) status = bench_measure_bounds(1, &bounds, e);
    json_t *results = config->json ? json_array() : NULL;
    if (status == STATUS_OK && !results)
        printf("one thread; read %.1f GB/s, sgemm %.1f GFLOP/s; medians of %d in turn\n"
               "%-10s %-5s %4s  %-10s %12s %8s %8s %9s\n",
               bounds.read_bytes_per_s * 1e-9, bounds.sgemm_flop_per_s * 1e-9, ROUNDS, "operation", "type",
               "rows", "isa", "microseconds", "GB/s", "GFLOP/s", "of bound");
    for (size_t i = 0; status == STATUS_OK && i < bench_kernels_count(b); i += bench_kernels_isas(b))
        status = run_group(b, i, &bounds, results, e);
    if (status == STATUS_OK && results) status = print_json(results, &bounds, e);
    json_decref(results);
    bench_kernels_close(b);
    return status;
}
