/* What the simulation of many threads needs of this machine: the price of a cache line, and the runs of a step. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/tools/bench_model.h"

#define CACHE_LINE  64
#define TRIALS      50 /* the least counts: other work on the machine only adds to it */
#define EXCHANGES   2000
#define MEETINGS    200
#define STORE_LINES 64
#define REPETITIONS 5

/* ---- cache lines --------------------------------------------------------------------------------------- */

struct line {
    _Alignas(CACHE_LINE) _Atomic uint32_t word;
};

struct exchange {
    struct line turn, lines[STORE_LINES];
    double seconds;
};

static void wait_for(struct line *line, uint32_t value) {
    while (atomic_load_explicit(&line->word, memory_order_acquire) != value) {
    }
}

/* Two threads, a tile each: a word goes to and fro. */
static void exchange_tile(void *context, size_t tile, size_t worker) {
    struct exchange *x = context;
    (void)worker;
    double start = clock_seconds();
    for (uint32_t i = 0; i < EXCHANGES; i++) {
        wait_for(&x->turn, 2 * i + (uint32_t)tile);
        atomic_store_explicit(&x->turn.word, 2 * i + (uint32_t)tile + 1, memory_order_release);
    }
    if (tile == 0) x->seconds = (clock_seconds() - start) / (2 * EXCHANGES);
}

/* One writes all lines, then the other does, for which the time is taken. */
static void store_tile(void *context, size_t tile, size_t worker) {
    struct exchange *x = context;
    (void)worker;
    wait_for(&x->turn, (uint32_t)tile);
    double start = clock_seconds();
    for (size_t i = 0; i < STORE_LINES; i++)
        atomic_store_explicit(&x->lines[i].word, (uint32_t)tile, memory_order_release);
    atomic_fetch_add(&x->turn.word, 1);
    if (tile == 1) x->seconds = (clock_seconds() - start) / STORE_LINES;
}

static double least_of(struct workers *workers, workers_fn fn, struct exchange *x) {
    double least = INFINITY;
    for (size_t i = 0; i < TRIALS; i++) {
        atomic_store(&x->turn.word, 0);
        workers_run(workers, fn, x, 2);
        if (x->seconds < least) least = x->seconds;
    }
    return least;
}

/* Each waits for the other, so that both have a tile. */
static void meet_tile(void *context, size_t tile, size_t worker) {
    struct exchange *x = context;
    (void)tile, (void)worker;
    atomic_fetch_add(&x->turn.word, 1);
    wait_for(&x->turn, 2);
}

/* A run in which nothing else is done: what the pool itself takes. */
static double barrier_seconds(struct workers *workers, struct exchange *x) {
    double least = INFINITY;
    for (size_t i = 0; i < TRIALS; i++) {
        double start = clock_seconds();
        for (size_t k = 0; k < MEETINGS; k++) {
            atomic_store(&x->turn.word, 0);
            workers_run(workers, meet_tile, x, 2);
        }
        double seconds = (clock_seconds() - start) / MEETINGS;
        if (seconds < least) least = seconds;
    }
    return least;
}

enum status bench_measure_threads(struct threads_costs *costs, double *barrier, struct error *e) {
    struct workers *workers = NULL;
    if (workers_default_count() < 2)
        return error_set(e, STATUS_LIMIT, "bench", "one core; what a line costs from core to core needs two");
    struct exchange *x = memory_aligned(1, sizeof *x, "bench", e);
    if (!x) return STATUS_NO_MEMORY;
    enum status status = workers_create(2, &workers, e);
    if (status == STATUS_OK) {
        costs->line = least_of(workers, exchange_tile, x);
        costs->store = least_of(workers, store_tile, x);
        *barrier = barrier_seconds(workers, x);
    }
    workers_destroy(workers);
    free(x);
    return status;
}

/* ---- the runs of a step -------------------------------------------------------------------------------- */

/* The most that a step has: some ten a layer. */
#define RUNS_MAX 8192

struct recording {
    struct threads_run runs[RUNS_MAX];
    size_t count;
    double start, end; /* of the run at hand, of the last one */
    double between;    /* seconds from run to run, of this repetition */
};

/* Of this thread alone: what others do on its core meanwhile is left out. */
static double thread_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void record(void *context, size_t tiles, bool begins) {
    struct recording *r = context;
    double now = thread_seconds(), seconds = now - r->start;
    if (begins && r->count > 0) r->between += now - r->end;
    if (begins) r->start = now;
    if (begins || r->count == RUNS_MAX) return;
    struct threads_run *run = &r->runs[r->count++];
    r->end = now;
    run->tiles = tiles;
    if (run->seconds <= 0 || seconds < run->seconds) run->seconds = seconds;
}

/* The item again and again; *between: what its thread does between the runs. */
static enum status record_item(struct bench_model *m, const struct bench_item *item, struct recording *r,
                               double *between, struct error *e) {
    *between = INFINITY;
    for (size_t i = 0; i < REPETITIONS; i++) {
        double seconds;
        struct bench_cost cost;
        r->count = 0;
        r->between = 0;
        enum status status = bench_run(m, item, &seconds, &cost, e);
        if (status != STATUS_OK) return status;
        if (r->between < *between) *between = r->between;
    }
    if (r->count < RUNS_MAX) return STATUS_OK;
    return error_set(e, STATUS_LIMIT, "bench", "a step of more than %d runs", RUNS_MAX - 1);
}

static void simulate(const struct recording *r, const struct threads_costs *costs, size_t threads,
                     double between, struct bench_threads *out) {
    const struct threads_costs free_lines = {0};
    *out = (struct bench_threads){
        .runs = r->count, .serial = between, .alone = between, .seconds = between, .ideal = between};
    for (size_t i = 0; i < r->count; i++) {
        out->alone += r->runs[i].seconds;
        out->serial += r->runs[i].tiles <= 1 ? r->runs[i].seconds : 0;
        out->seconds += threads_model_run(costs, &r->runs[i], threads);
        out->ideal += threads_model_run(&free_lines, &r->runs[i], threads);
    }
}

/* With a forward pass of its own, whose scratch is for so many workers. */
enum status bench_simulate_threads(struct bench_model *m, const struct bench_item *item,
                                   const struct threads_costs *costs, size_t threads,
                                   struct bench_threads *out, struct error *e) {
    struct workers *workers = NULL;
    struct forward *forward = NULL, *kept = m->forward;
    double between;
    struct recording *r = memory_aligned(1, sizeof *r, "bench", e);
    if (!r) return STATUS_NO_MEMORY;
    enum status status = workers_create_alone(threads, &workers, e);
    if (status == STATUS_OK) status = bench_forward_create(m, workers, &forward, e);
    if (status == STATUS_OK) {
        workers_observe(workers, record, r);
        m->forward = forward;
        status = record_item(m, item, r, &between, e);
        m->forward = kept;
    }
    if (status == STATUS_OK) simulate(r, costs, threads, between, out);
    forward_destroy(forward);
    workers_destroy(workers);
    free(r);
    return status;
}
