#include "server/bench/tables.h"

#include <stdio.h>

#include "server/json/print.h"

#define ROUNDS   5
#define ISAS_MAX 16

static void print_line(const struct bench_kernel *line, double seconds, double share) {
    printf("%-10s %-5s %4zu  %-10s %12.2f", line->operation, line->type, line->rows, line->isa,
           seconds * 1e6);
    if (line->bytes > 0)
        printf(" %8.2f %8.1f %7.0f %%", line->bytes / seconds * 1e-9,
               bench_flops_sum(line->flops) / seconds * 1e-9, 100 * share);
    putchar('\n');
    fflush(stdout);
}

static void add_line(json_t *results, const struct bench_kernel *line, double seconds, double share) {
    json_t *object = json_pack("{s:s, s:s, s:I, s:s, s:f}", "operation", line->operation, "type", line->type,
                               "rows", (json_int_t)line->rows, "isa", line->isa, "seconds", seconds);
    if (line->bytes > 0)
        json_object_update_new(object, json_pack("{s:f, s:f, s:f}", "gb_per_s", line->bytes / seconds * 1e-9,
                                                 "gflop_per_s", bench_flops_sum(line->flops) / seconds * 1e-9,
                                                 "share_of_bound", share));
    json_array_append_new(results, object);
}

/* The bounds of each instruction set that runs here. */
struct bounds_of_sets {
    struct bench_bounds of[KERNEL_ISA_COUNT];
};

/* One operation with all instruction sets in turn, A B C A B C. */
static enum status run_group(struct bench_kernels *b, size_t first, const struct bounds_of_sets *bounds,
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
        const double middle = bench_median(seconds[i], ROUNDS),
                     share = bench_bound_seconds(&bounds->of[line.set], line.bytes, line.flops) / middle;
        if (results)
            add_line(results, &line, middle, share);
        else
            print_line(&line, middle, share);
    }
    return STATUS_OK;
}

static enum status print_json(json_t *results, json_t *bounds, struct error *e) {
    json_t *root = json_pack("{s:O, s:O}", "bounds", bounds, "kernels", results);
    return json_print(root, JSON_INDENT(1) | JSON_REAL_PRECISION(BENCH_JSON_DIGITS), e);
}

/* told: NULL, or an object by the names of the sets. */
static enum status measure_bounds(const struct bench_kernels *b, struct bounds_of_sets *bounds, json_t *told,
                                  struct error *e) {
    for (size_t i = 0; i < bench_kernels_isas(b); i++) {
        struct bench_kernel line;
        bench_kernels_at(b, i, &line);
        struct bench_bounds *of = &bounds->of[line.set];
        enum status status = bench_measure_bounds(1, line.set, of, e);
        if (status != STATUS_OK) return status;
        if (told)
            json_object_set_new(told, line.isa, bench_bounds_json(of));
        else
            printf("%-10s ", line.isa), bench_bounds_print(of);
    }
    return STATUS_OK;
}

enum status bench_kernels_print(const struct config *config, struct error *e) {
    static struct bounds_of_sets bounds;
    struct bench_kernels *b = NULL;
    json_t *results = config->json ? json_array() : NULL, *told = config->json ? json_object() : NULL;
    enum status status = bench_kernels_open(config->isa, &b, e);
    if (status == STATUS_OK) status = measure_bounds(b, &bounds, told, e);
    if (status == STATUS_OK && !results)
        printf("one thread; medians of %d in turn\n%-10s %-5s %4s  %-10s %12s %8s %8s %9s\n", ROUNDS,
               "operation", "type", "rows", "isa", "microseconds", "GB/s", "GFLOP/s", "of bound");
    for (size_t i = 0; status == STATUS_OK && i < bench_kernels_count(b); i += bench_kernels_isas(b))
        status = run_group(b, i, &bounds, results, e);
    if (status == STATUS_OK && results) status = print_json(results, told, e);
    json_decref(results);
    json_decref(told);
    bench_kernels_close(b);
    return status;
}
