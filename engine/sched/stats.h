/* Figures of the scheduler: written by its thread (refusals: by submitting threads), read by any, without
 * locks. Each figure is exact by itself; a reader may see one step counted in one figure and not yet in
 * another. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/types/stats.h"

/* One writer. */
struct histogram {
    const double *bounds; /* ascending upper bounds, static */
    size_t bound_count;   /* at most ENGINE_HISTOGRAM_BUCKETS */
    _Atomic uint64_t counts[ENGINE_HISTOGRAM_BUCKETS + 1];
    _Atomic double sum;
};

/* type in engine_stats, name: counters since the start, then figures of now */
#define STATS_COUNTERS(X)                                                                                    \
    X(prompt_tokens)                                                                                         \
    X(prompt_tokens_computed)                                                                                \
    X(generated_tokens)                                                                                      \
    X(steps)                                                                                                 \
    X(finished_stop)                                                                                         \
    X(finished_length)                                                                                       \
    X(finished_cancelled)                                                                                    \
    X(finished_timeout)                                                                                      \
    X(finished_failed)                                                                                       \
    X(refused_queue)                                                                                         \
    X(prefix_queries_tokens)                                                                                 \
    X(prefix_hit_tokens)                                                                                     \
    X(preemptions)                                                                                           \
    X(embeddings)                                                                                            \
    X(spec_steps)                                                                                            \
    X(spec_drafts)                                                                                           \
    X(spec_draft_tokens)                                                                                     \
    X(spec_accepted_tokens)                                                                                  \
    X(masks)                                                                                                 \
    X(mask_ns)                                                                                               \
    X(mask_steps)                                                                                            \
    X(mask_waits)

#define STATS_GAUGES(X)                                                                                      \
    X(running)                                                                                               \
    X(waiting)                                                                                               \
    X(backpressured)                                                                                         \
    X(queued_tokens)                                                                                         \
    X(kv_pages_used)                                                                                         \
    X(kv_pages_total)

#define STATS_HISTOGRAMS(X)                                                                                  \
    X(time_to_first_token, stats_bounds_short)                                                               \
    X(inter_token, stats_bounds_short)                                                                       \
    X(end_to_end, stats_bounds_long)                                                                         \
    X(queue_time, stats_bounds_wait)                                                                         \
    X(prefill_time, stats_bounds_wait)                                                                       \
    X(decode_time, stats_bounds_long)                                                                        \
    X(inference_time, stats_bounds_wait)                                                                     \
    X(token_time, stats_bounds_short)                                                                        \
    X(step_time_decode, stats_bounds_short)                                                                  \
    X(step_time_prefill, stats_bounds_short)                                                                 \
    X(step_time_mixed, stats_bounds_short)                                                                   \
    X(request_prompt_tokens, stats_bounds_count)                                                             \
    X(request_generated_tokens, stats_bounds_count)                                                          \
    X(request_computed_tokens, stats_bounds_count)                                                           \
    X(request_max_tokens, stats_bounds_count)                                                                \
    X(request_longest_tokens, stats_bounds_count)                                                            \
    X(request_choices, stats_bounds_count)                                                                   \
    X(step_tokens, stats_bounds_count)                                                                       \
    X(step_budget, stats_bounds_share)                                                                       \
    X(step_sequences, stats_bounds_count)

struct stats {
#define X(name) _Atomic uint64_t name;
    STATS_COUNTERS(X)
#undef X
#define X(name) _Atomic size_t name;
    STATS_GAUGES(X)
#undef X
#define X(name, bounds) struct histogram name;
    STATS_HISTOGRAMS(X)
#undef X
    _Atomic double busy_seconds;
    /* Seconds between ends of choices, idle time apart, smoothed; 0 before the second. */
    _Atomic double finish_interval;
};

void stats_init(struct stats *stats);

/* By the one writer of the figure. */
void histogram_observe(struct histogram *h, double value);
void stats_add_seconds(_Atomic double *sum, double seconds);

/* What one step was: rows are all rows, of which so many decoded. */
struct stats_step {
    size_t decode_rows, rows, rows_most, sequences;
    double seconds;
};
void stats_count_step(struct stats *stats, const struct stats_step *step);

static inline void stats_add(_Atomic uint64_t *counter, uint64_t count) {
    atomic_fetch_add_explicit(counter, count, memory_order_relaxed);
}
static inline void stats_set(_Atomic size_t *gauge, size_t value) {
    atomic_store_explicit(gauge, value, memory_order_relaxed);
}

void stats_read(const struct stats *stats, struct engine_stats *out);
