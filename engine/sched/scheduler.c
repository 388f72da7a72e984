#include "engine/sched/scheduler.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/sched/batch_slots.h"
#include "engine/sched/constraint.h"
#include "engine/base/thread.h"
#include "engine/sched/sequence_sets.h"
#include "engine/sched/scheduler_state.h"

#define RETRY_AFTER_MIN_S 1
#define RETRY_AFTER_MAX_S 120

/* ---- life ---------------------------------------------------------------------------------------------- */

static enum status make_lists(struct scheduler *s, struct error *e) {
    size_t count = s->options.limits.sequences;
    s->running = memory_aligned(count, sizeof *s->running, "scheduler", e);
    s->needs = memory_aligned(count, sizeof *s->needs, "scheduler", e);
    s->shares = memory_aligned(count, sizeof *s->shares, "scheduler", e);
    s->victims = memory_aligned(count, sizeof *s->victims, "scheduler", e);
    size_t pages = kv_pages_for(s->options.rules.context, s->options.rules.page_tokens);
    s->matched = memory_aligned(pages, sizeof *s->matched, "scheduler", e);
    return s->running && s->needs && s->shares && s->victims && s->matched ? STATUS_OK : STATUS_NO_MEMORY;
}

static void destroy_parts(struct scheduler *s) {
    step_deinit(&s->step);
    turns_deinit(&s->turns);
    free(s->running);
    free(s->needs);
    free(s->shares);
    free(s->victims);
    free(s->matched);
    free(s);
}

static void check_options(const struct scheduler_options *o) {
    const struct batch_limits *limits = &o->limits;
    assert(limits->sequences > 0 && limits->sequences <= limits->rows &&
           limits->sequences <= limits->logit_rows);
    assert(o->pool->page_count >= kv_pages_for(o->rules.context, o->rules.page_tokens));
    assert(o->pool->layout.page_tokens == o->rules.page_tokens && o->rules.max_pending_events > 1);
    assert(o->vocabulary.rows == o->rules.rows && o->vocabulary.sampleable <= o->vocabulary.rows);
    (void)limits;
}

enum status scheduler_create(const struct scheduler_options *options, struct scheduler **out,
                             struct error *e) {
    *out = NULL;
    check_options(options);
    struct scheduler *s = calloc(1, sizeof *s);
    if (!s) return error_set(e, STATUS_NO_MEMORY, "scheduler", "%zu bytes", sizeof *s);
    s->options = *options;
    s->next_deadline_ns = UINT64_MAX;
    s->drafting.cost.row_cost = options->draft_row_cost;
    atomic_init(&s->any_cancelled, false);
    s->options.rules.vocabulary = &s->options.vocabulary;
    stats_init(&s->stats);
    enum status status = make_lists(s, e);
    if (status == STATUS_OK) status = turns_init(&s->turns, options->fair_share ? options->queue_max : 0, e);
    if (status == STATUS_OK) status = step_init(&s->step, options, e);
    if (status == STATUS_OK)
        status = submit_queue_init(&s->submit_queue, options->queue_max, options->queue_tokens_max, e);
    if (status != STATUS_OK) {
        destroy_parts(s);
        return status;
    }
    ready_list_init(&s->ready_list, options->wake, options->wake_context);
    sets_publish(s);
    *out = s;
    return STATUS_OK;
}

/* Takes what has arrived and ends everything. */
static void end_all(struct scheduler *s) {
    struct engine_request *arrivals;
    submit_queue_wait(&s->submit_queue, 0, &arrivals);
    sets_take_arrivals(s, arrivals);
    sets_finish_all(s);
    sets_publish(s);
    ready_list_wake(&s->ready_list);
}

void scheduler_destroy(struct scheduler *s) {
    if (!s) return;
    submit_queue_close(&s->submit_queue);
    if (s->started) pthread_join(s->thread, NULL);
    end_all(s);
    submit_queue_deinit(&s->submit_queue);
    ready_list_deinit(&s->ready_list);
    destroy_parts(s);
}

/* ---- turns --------------------------------------------------------------------------------------------- */

static bool turn(struct scheduler *s, struct engine_request *arrivals) {
    sets_take_arrivals(s, arrivals);
    uint64_t now_ns = clock_ns();
    sets_sweep(s, now_ns);
    constraint_make_masks(s, false, now_ns);
    slots_make_room(s, now_ns);
    bool computed = step_run(s);
    sets_publish(s);
    ready_list_wake(&s->ready_list);
    atomic_fetch_add_explicit(&s->turn_count, 1, memory_order_relaxed);
    return computed;
}

bool scheduler_turn(struct scheduler *s) {
    assert(!s->started);
    struct engine_request *arrivals;
    submit_queue_wait(&s->submit_queue, 0, &arrivals);
    return turn(s, arrivals);
}

/* After a turn that computed nothing it sleeps: everything that could change that rings its condition, or is a
 * deadline. */
static void *run_thread(void *context) {
    struct scheduler *s = context;
    struct engine_request *arrivals;
    uint64_t deadline_ns = UINT64_MAX;
    while (submit_queue_wait(&s->submit_queue, deadline_ns, &arrivals))
        deadline_ns = turn(s, arrivals) ? 0 : s->next_deadline_ns;
    sets_take_arrivals(s, arrivals);
    return NULL;
}

enum status scheduler_start(struct scheduler *s, struct error *e) {
    int problem = thread_start(&s->thread, "prenorm-sched", run_thread, s);
    if (problem)
        return error_set(e, STATUS_NO_MEMORY, "scheduler", "its thread cannot be started: %s",
                         strerror(problem));
    s->started = true;
    return STATUS_OK;
}

/* ---- requests ------------------------------------------------------------------------------------------ */

size_t scheduler_prompts_bytes(const struct scheduler *s, const struct engine_prompt *prompts, size_t count) {
    return sched_requests_bytes(&s->options.rules, prompts, count);
}

void scheduler_cancel(struct engine_request *request) {
    struct scheduler *s = request->scheduler;
    atomic_store_explicit(&request->cancelled, true, memory_order_release);
    atomic_store_explicit(&s->any_cancelled, true, memory_order_release);
    submit_queue_notify(&s->submit_queue);
}

void scheduler_release(struct engine_request *request) {
    struct scheduler *s = request->scheduler;
    event_ring_close(&s->ready_list, &request->ring);
    scheduler_cancel(request);
    sched_request_release(request);
}

void scheduler_drain(struct scheduler *s) {
    submit_queue_drain(&s->submit_queue);
}

unsigned scheduler_retry_after(struct scheduler *s) {
    size_t choices, tokens;
    submit_queue_waiting(&s->submit_queue, &choices, &tokens);
    double interval = atomic_load_explicit(&s->stats.finish_interval, memory_order_relaxed);
    double seconds = ceil((double)choices * interval);
    if (seconds < RETRY_AFTER_MIN_S) return RETRY_AFTER_MIN_S;
    return seconds > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : (unsigned)seconds;
}

void scheduler_stats(struct scheduler *s, struct engine_stats *out) {
    stats_read(&s->stats, out);
}

void scheduler_pulse(const struct scheduler *s, struct engine_pulse *out) {
    uint64_t turns = atomic_load_explicit(&s->turn_count, memory_order_relaxed);
    uint64_t tiles = s->options.workers ? workers_progress(s->options.workers) : 0;
    *out = (struct engine_pulse){.progress = turns * 0x9e3779b97f4a7c15u + tiles,
                                 .has_work = submit_queue_has_work(&s->submit_queue, clock_ns())};
}

/* ---- events -------------------------------------------------------------------------------------------- */

struct engine_request *scheduler_next_ready(struct scheduler *s) {
    struct event_ring *ring = ready_list_next_ready(&s->ready_list);
    return ring ? sched_request_of(ring) : NULL;
}

bool scheduler_next_event(struct engine_request *request, struct engine_event *out) {
    bool fed;
    bool any = event_ring_take(&request->scheduler->ready_list, &request->ring, out, &fed);
    if (fed) submit_queue_notify(&request->scheduler->submit_queue);
    return any;
}
