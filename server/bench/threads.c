#include "server/bench/tables.h"

#include <stdio.h>
#include <string.h>

#include "server/json/print.h"

static const size_t thread_counts[] = {1, 2, 4, 8, 16, 32, 64};

enum { COUNTS = sizeof thread_counts / sizeof *thread_counts, STAGE_THREADS_MIN = 16 };

/* Where nobody chose: a step of one sequence has the least to share out, one of 16 is what servers run. */
static bool is_chosen(const struct config *config, const struct bench_choice *choice, size_t i) {
    const char *name = bench_works[i].name;
    return config->works ? choice->works[i] : strcmp(name, "decode-1") == 0 || strcmp(name, "decode-16") == 0;
}

/* A step, or a stage of it, and what it takes one thread. */
struct line {
    const char *name;
    size_t threads;
    struct bench_threads_part part;
    double alone;
};

static void print_line(const struct line *l) {
    const struct bench_threads_part *p = &l->part;
    const double even = (l->alone - p->serial) / (double)l->threads;
    printf("%-18s %7zu %10.3f %9.1f %9.1f %9.1f %11.1f %%\n", l->name, l->threads, 1e3 * p->seconds,
           1e6 * p->serial, 1e6 * (p->ideal - p->serial - even), 1e6 * (p->seconds - p->ideal),
           100 * l->alone / p->seconds / (double)l->threads);
    fflush(stdout);
}

static json_t *json_line(const char *key, const struct line *l) {
    const struct bench_threads_part *p = &l->part;
    return json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f}", key, l->name, "threads", (json_int_t)l->threads,
                     "runs", (json_int_t)p->runs, "seconds", p->seconds, "serial_seconds", p->serial,
                     "seconds_without_pool", p->ideal, "efficiency",
                     l->alone / p->seconds / (double)l->threads);
}

/* Of a work, by threads; the first is of one. */
struct work_lines {
    const char *work;
    struct bench_threads of[COUNTS];
};

static struct line line_of(const struct work_lines *w, size_t i) {
    return (struct line){w->work, thread_counts[i], w->of[i].all, w->of[0].all.alone};
}

static struct line stage_line_of(const struct work_lines *w, size_t i, size_t stage) {
    return (struct line){bench_stage_names[stage], thread_counts[i], w->of[i].stage[stage],
                         w->of[0].stage[stage].alone};
}

/* Where the time goes with many threads. */
static void print_stages(const struct work_lines *w) {
    for (size_t i = 0; i < COUNTS; i++) {
        if (thread_counts[i] < STAGE_THREADS_MIN) continue;
        for (size_t stage = 0; stage < BENCH_STAGES; stage++) {
            const struct line line = stage_line_of(w, i, stage);
            if (line.part.seconds > 0) print_line(&line);
        }
    }
}

static json_t *json_work_line(const struct work_lines *w, size_t i) {
    const struct line line = line_of(w, i);
    json_t *row = json_line("work", &line), *stages = json_array();
    for (size_t stage = 0; stage < BENCH_STAGES; stage++) {
        const struct line part = stage_line_of(w, i, stage);
        if (part.part.seconds > 0) json_array_append_new(stages, json_line("stage", &part));
    }
    json_object_set_new(row, "stages", stages);
    return row;
}

/* A model whose context is shorter than the work needs passes it over, and says so. */
static enum status run_work(struct bench_model *model, const struct bench_named_work *work,
                            const struct threads_costs *costs, json_t *rows, struct error *e) {
    struct bench_item item = work->item;
    struct work_lines lines = {.work = work->name};
    if (item.work == BENCH_DECODE) item.tokens = 1;
    for (size_t i = 0; i < COUNTS; i++) {
        enum status status = bench_simulate_threads(model, &item, costs, thread_counts[i], &lines.of[i], e);
        if (status == STATUS_LIMIT && i == 0) {
            if (!rows) printf("%-18s left out: %s\n", work->name, e->text);
            return STATUS_OK;
        }
        if (status != STATUS_OK) return status;
        const struct line line = line_of(&lines, i);
        if (rows)
            json_array_append_new(rows, json_work_line(&lines, i));
        else
            print_line(&line);
    }
    if (!rows) print_stages(&lines);
    return STATUS_OK;
}

/* A run in which two threads only meet, as simulated: they meet at a line that one writes, then the other, then the first one
 * sees it. */
static double simulated_barrier(const struct threads_costs *costs) {
    const struct threads_run two = {.tiles = 2};
    return threads_model_run(costs, &two, 2) + 2 * costs->line;
}

static void print_heading(const struct bench_model *model, const struct threads_costs *costs,
                          double barrier) {
    printf("weights %s; a cache line from another core %.0f ns, one of many stores %.1f ns, of many loads "
           "%.1f ns; two threads that only meet in a run %.2f us, %.2f us as simulated\n",
           bench_weights(model), 1e9 * costs->line, 1e9 * costs->store, 1e9 * costs->load, 1e6 * barrier,
           1e6 * simulated_barrier(costs));
    printf("%-18s %7s %10s %9s %9s %9s %13s\n", "work", "threads", "ms a step", "serial us", "split us",
           "pool us", "efficiency");
}

static enum status print_json(const struct threads_costs *costs, double barrier, json_t *rows,
                              struct error *e) {
    json_t *root =
        json_pack("{s:f, s:f, s:f, s:f, s:O}", "line_seconds", costs->line, "store_seconds", costs->store,
                  "load_seconds", costs->load, "barrier_seconds", barrier, "results", rows);
    return json_print(root, JSON_INDENT(1) | JSON_REAL_PRECISION(BENCH_JSON_DIGITS), e);
}

enum status bench_threads_print(const struct config *config, const struct bench_choice *choice,
                                struct bench_model *model, struct error *e) {
    struct threads_costs costs;
    double barrier;
    json_t *rows = config->json ? json_array() : NULL;
    enum status status = bench_measure_threads(&costs, &barrier, e);
    if (status == STATUS_OK && !rows) print_heading(model, &costs, barrier);
    for (size_t i = 0; i < BENCH_WORKS && status == STATUS_OK; i++)
        if (is_chosen(config, choice, i)) status = run_work(model, &bench_works[i], &costs, rows, e);
    if (status == STATUS_OK && rows) status = print_json(&costs, barrier, rows, e);
    json_decref(rows);
    return status;
}
