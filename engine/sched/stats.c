#include "engine/sched/stats.h"

#include <assert.h>

/* vLLM's bounds, with finer ones below: small models answer in under a millisecond. Seconds. */
static const double stats_bounds_short[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075,
                                            0.1,    0.15,  0.2,    0.3,   0.4,  0.5,   0.75, 1,
                                            2.5,    5,     7.5,    10,    20,   40,    80,   160};
static const double stats_bounds_long[] = {0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1,   1.5, 2,   2.5, 5,    10,
                                           15,   20,   30,  40,  50,  60,  120, 240, 480, 960, 1920, 7680};

/* Of waits and prompts, which may be over in less than a millisecond and may take minutes. */
static const double stats_bounds_wait[] = {0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3,
                                           0.5,    0.8,    1,     1.5,   2,    2.5,  5,   10,
                                           20,     30,     60,    120,   240,  480,  960, 1920};
static const double stats_bounds_count[] = {1,   2,    5,    10,   20,    50,    100,   200,
                                            500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

/* Of a whole: its parts, and what is less than the first of them. */
static const double stats_bounds_share[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1};

#define BOUND_COUNT(bounds) (sizeof(bounds) / sizeof *(bounds))
_Static_assert(BOUND_COUNT(stats_bounds_short) <= ENGINE_HISTOGRAM_BUCKETS, "too many bounds");
_Static_assert(BOUND_COUNT(stats_bounds_wait) <= ENGINE_HISTOGRAM_BUCKETS, "too many bounds");
_Static_assert(BOUND_COUNT(stats_bounds_long) <= ENGINE_HISTOGRAM_BUCKETS, "too many bounds");

void stats_init(struct stats *stats) {
    *stats = (struct stats){0};
#define X(name, list)                                                                                        \
    stats->name.bounds = (list);                                                                             \
    stats->name.bound_count = BOUND_COUNT(list);
    STATS_HISTOGRAMS(X)
#undef X
}

void stats_add_seconds(_Atomic double *sum, double seconds) {
    atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + seconds,
                          memory_order_relaxed);
}

void histogram_observe(struct histogram *h, double value) {
    size_t bucket = 0;
    while (bucket < h->bound_count && value > h->bounds[bucket]) bucket++;
    atomic_fetch_add_explicit(&h->counts[bucket], 1, memory_order_relaxed);
    stats_add_seconds(&h->sum, value);
}

static struct histogram *step_time(struct stats *stats, const struct stats_step *step) {
    if (step->decode_rows == 0) return &stats->step_time_prefill;
    return step->decode_rows == step->rows ? &stats->step_time_decode : &stats->step_time_mixed;
}

void stats_count_step(struct stats *stats, const struct stats_step *step) {
    stats_add(&stats->steps, 1);
    stats_add_seconds(&stats->busy_seconds, step->seconds);
    histogram_observe(step_time(stats, step), step->seconds);
    histogram_observe(&stats->step_tokens, (double)step->rows);
    histogram_observe(&stats->step_budget, (double)step->rows / (double)step->rows_most);
    histogram_observe(&stats->step_sequences, (double)step->sequences);
}

static void read_histogram(const struct histogram *h, struct engine_histogram *out) {
    *out = (struct engine_histogram){.bounds = h->bounds, .bound_count = h->bound_count};
    for (size_t i = 0; i <= h->bound_count; i++)
        out->counts[i] = atomic_load_explicit(&h->counts[i], memory_order_relaxed);
    out->sum = atomic_load_explicit(&h->sum, memory_order_relaxed);
}

void stats_read(const struct stats *stats, struct engine_stats *out) {
#define X(name) out->name = atomic_load_explicit(&stats->name, memory_order_relaxed);
    STATS_COUNTERS(X)
    STATS_GAUGES(X)
#undef X
#define X(name, bounds) read_histogram(&stats->name, &out->name);
    STATS_HISTOGRAMS(X)
#undef X
    out->busy_seconds = atomic_load_explicit(&stats->busy_seconds, memory_order_relaxed);
}
