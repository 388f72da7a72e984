/* What the simulation of many threads needs of this machine: the price of a cache line, and the runs of a step. */
#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/tools/bench_model.h"

#define CACHE_LINE  64
#define TRIALS      50 /* the least counts: other work on the machine only adds to it */
#define EXCHANGES   2000
#define MEETINGS    200
#define LINES       64
#define REPETITIONS 5

/* ---- cache lines --------------------------------------------------------------------------------------- */

struct line {
    _Alignas(CACHE_LINE) _Atomic uint32_t word;
};

struct exchange {
    struct line turn, lines[LINES];
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

/* One writes all lines, then the other does, or reads them, for which the time is taken. The first waits for the second to
 * be there, or one thread would do both. Ends by a barrier, or stores would still be under way. */
static void many_lines(struct exchange *x, size_t tile, bool reads) {
    uint32_t sum = 0;
    if (tile == 1) atomic_store(&x->turn.word, 1);
    wait_for(&x->turn, (uint32_t)tile + 1);
    double start = clock_seconds();
    for (size_t i = 0; i < LINES; i++) {
        if (tile == 1 && reads)
            sum += atomic_load_explicit(&x->lines[i].word, memory_order_acquire);
        else
            atomic_store_explicit(&x->lines[i].word, (uint32_t)tile, memory_order_release);
    }
    atomic_fetch_add(&x->turn.word, 1 + sum); /* each line has 0, which only the processor does not know */
    if (tile == 1) x->seconds = (clock_seconds() - start) / LINES;
}

static void store_tile(void *context, size_t tile, size_t worker) {
    (void)worker;
    many_lines(context, tile, false);
}

static void load_tile(void *context, size_t tile, size_t worker) {
    (void)worker;
    many_lines(context, tile, true);
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
        costs->load = least_of(workers, load_tile, x);
        *barrier = barrier_seconds(workers, x);
    }
    workers_destroy(workers);
    free(x);
    return status;
}

/* Of enum forward_stage. */
const char *const bench_stage_names[BENCH_STAGES] = {
    "embeddings",       "norms, conversions", "qkv",        "attention",
    "attention output", "MLP input",          "MLP output", "head"};
_Static_assert(BENCH_STAGES == FORWARD_STAGE_COUNT, "each has a name");

/* ---- the runs of a step -------------------------------------------------------------------------------- */

/* Times of the runs of an item. The first time it only counts them; then there is room for all. */
struct recording {
    const struct forward *forward;
    struct threads_run *runs;
    enum forward_stage *stages; /* [run_count] */
    double *tiles;              /* [tile_count]: seconds of each, run by run, the least of all repetitions */
    double *gaps;               /* [run_count]: likewise before each run but the first */
    size_t run_count, tile_count;
    size_t run, tile; /* at hand */
    double last;      /* when the last event was */
    double clock;     /* what asking for the time takes */
};

/* Of this thread alone: what others do on its core meanwhile is left out. */
static double thread_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* It is a system call, which would count as work of every tile. */
static double clock_cost(void) {
    double least = INFINITY;
    for (size_t i = 0; i < 100 * TRIALS; i++) {
        double start = thread_seconds(), seconds = thread_seconds() - start;
        if (seconds < least) least = seconds;
    }
    return least;
}

static double since_last(struct recording *r) {
    double now = thread_seconds(), seconds = now - r->last - r->clock;
    r->last = now;
    return seconds > 0 ? seconds : 0;
}

static void record(void *context, size_t tiles, enum workers_event event) {
    struct recording *r = context;
    double seconds = since_last(r);
    switch (event) {
    case WORKERS_RUN_BEGINS:
        if (r->run > 0 && r->gaps && seconds < r->gaps[r->run]) r->gaps[r->run] = seconds;
        if (r->runs)
            r->runs[r->run] = (struct threads_run){.tiles = tiles, .tile_seconds = r->tiles + r->tile};
        if (r->stages) r->stages[r->run] = forward_stage(r->forward);
        break;
    case WORKERS_TILE_ENDS:
        if (r->tiles && seconds < r->tiles[r->tile]) r->tiles[r->tile] = seconds;
        r->tile++;
        break;
    case WORKERS_RUN_ENDS:
        r->run++;
        break;
    }
}

static enum status run_once(struct bench_model *m, const struct bench_item *item, struct recording *r,
                            struct error *e) {
    double seconds;
    struct bench_cost cost;
    r->run = r->tile = 0;
    return bench_run(m, item, &seconds, &cost, e);
}

static enum status make_room(struct recording *r, struct error *e) {
    r->run_count = r->run;
    r->tile_count = r->tile;
    r->runs = memory_aligned(r->run_count + 1, sizeof *r->runs, "bench", e);
    r->tiles = memory_aligned(r->tile_count + 1, sizeof *r->tiles, "bench", e);
    r->gaps = memory_aligned(r->run_count + 1, sizeof *r->gaps, "bench", e);
    r->stages = memory_aligned(r->run_count + 1, sizeof *r->stages, "bench", e);
    if (!r->runs || !r->tiles || !r->gaps || !r->stages) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < r->tile_count; i++) r->tiles[i] = INFINITY;
    for (size_t i = 0; i < r->run_count; i++) r->gaps[i] = INFINITY;
    return STATUS_OK;
}

static void add_tiles(struct recording *r) {
    for (size_t i = 0; i < r->run_count; i++)
        for (size_t t = 0; t < r->runs[i].tiles; t++) r->runs[i].seconds += r->runs[i].tile_seconds[t];
}

/* The item again and again. */
static enum status record_item(struct bench_model *m, const struct bench_item *item, struct recording *r,
                               struct error *e) {
    r->clock = clock_cost();
    enum status status = run_once(m, item, r, e);
    if (status == STATUS_OK) status = make_room(r, e);
    for (size_t i = 0; i < REPETITIONS && status == STATUS_OK; i++) {
        status = run_once(m, item, r, e);
        assert(status != STATUS_OK || (r->run == r->run_count && r->tile == r->tile_count));
    }
    if (status == STATUS_OK) add_tiles(r);
    return status;
}

static void add_part(struct bench_threads_part *to, const struct bench_threads_part *part) {
    to->runs += part->runs;
    to->serial += part->serial;
    to->alone += part->alone;
    to->seconds += part->seconds;
    to->ideal += part->ideal;
}

/* In front of a linear rows are made that it reads. */
static enum forward_stage stage_before(enum forward_stage stage) {
    return stage == FORWARD_STAGE_BEGIN || stage == FORWARD_STAGE_ATTENTION ? stage : FORWARD_STAGE_INPUTS;
}

static void simulate(const struct recording *r, const struct threads_costs *costs, size_t threads,
                     struct bench_threads *out) {
    const struct threads_costs free_lines = {0};
    *out = (struct bench_threads){0};
    for (size_t i = 0; i < r->run_count; i++) {
        const struct threads_run *run = &r->runs[i];
        const double gap = i > 0 ? r->gaps[i] : 0;
        const struct bench_threads_part before = {.serial = gap, .alone = gap, .seconds = gap, .ideal = gap};
        const struct bench_threads_part part = {
            .runs = 1,
            .serial = run->tiles <= 1 ? run->seconds : 0,
            .alone = run->seconds,
            .seconds = threads_model_run(costs, run, threads),
            .ideal = threads_model_run(&free_lines, run, threads),
        };
        add_part(&out->stage[stage_before(r->stages[i])], &before);
        add_part(&out->stage[r->stages[i]], &part);
    }
    for (size_t i = 0; i < BENCH_STAGES; i++) add_part(&out->all, &out->stage[i]);
}

/* With a forward pass of its own, whose scratch is for so many workers. */
enum status bench_simulate_threads(struct bench_model *m, const struct bench_item *item,
                                   const struct threads_costs *costs, size_t threads,
                                   struct bench_threads *out, struct error *e) {
    struct workers *workers = NULL;
    struct forward *forward = NULL, *kept = m->forward;
    struct recording r = {0};
    enum status status = workers_create_alone(threads, &workers, e);
    if (status == STATUS_OK) status = bench_forward_create(m, workers, &forward, e);
    if (status == STATUS_OK) {
        workers_observe(workers, record, &r);
        m->forward = forward;
        r.forward = forward;
        status = record_item(m, item, &r, e);
        m->forward = kept;
    }
    if (status == STATUS_OK) simulate(&r, costs, threads, out);
    forward_destroy(forward);
    workers_destroy(workers);
    free(r.runs);
    free(r.stages);
    free(r.tiles);
    free(r.gaps);
    return status;
}
