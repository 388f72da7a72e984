#include "engine/sched/constraint.h"
#include "engine/sched/sequence_sets.h"

#include <assert.h>
#include <string.h>

#include "engine/base/clock.h"

#define FINISH_INTERVAL_WEIGHT 0.1 /* of the newest interval in the smoothed one */

/* ---- ends ---------------------------------------------------------------------------------------------- */

/* It waits no longer, as the submission queue counts. */
static void leave_submit_queue(struct scheduler *s, struct sequence *q) {
    if (q->admitted) return;
    q->admitted = true;
    submit_queue_left(&s->submit_queue, 1, q->request->prompt_count);
}

static void remove_running(struct scheduler *s, const struct sequence *q) {
    size_t i = 0;
    while (s->running[i] != q) i++;
    s->running_count--;
    memmove(s->running + i, s->running + i + 1, (s->running_count - i) * sizeof *s->running);
}

void sets_give_up_lead(struct sequence *q) {
    if (q->request->leader == q) q->request->leader = NULL;
}

void sets_remove(struct scheduler *s, struct sequence *q) {
    if (q->flow) turns_remove(&s->turns, q, false);
    if (q->queue)
        queue_remove(q);
    else
        remove_running(s, q);
}

static void insert_running(struct scheduler *s, struct sequence *q) {
    size_t i = s->running_count++;
    assert(i < s->options.limits.sequences);
    for (; i > 0 && queue_before(q, s->running[i - 1]); i--) s->running[i] = s->running[i - 1];
    s->running[i] = q;
}

void sets_give_slot(struct scheduler *s, struct sequence *q, enum sequence_state state) {
    if (q->flow) {
        struct sequence *seat = q->queue->first;
        if (seat != q) queue_exchange(seat, q);
        turns_remove(&s->turns, q, true);
    }
    queue_remove(q);
    leave_submit_queue(s, q);
    sequence_move(q, state);
    insert_running(s, q);
}

void sets_set_aside(struct scheduler *s, struct sequence *q, enum sequence_state state, struct queue *queue) {
    constraint_leave(q);
    sets_remove(s, q);
    sequence_move(q, state);
    queue_insert(queue, q);
}

static void count_times(struct scheduler *s, const struct sequence *q, uint64_t now_ns) {
    struct stats *stats = &s->stats;
    histogram_observe(&stats->end_to_end, sets_seconds(q->request->arrival_ns, now_ns));
    if (q->first_token_ns) {
        histogram_observe(&stats->prefill_time, sets_seconds(q->first_run_ns, q->first_token_ns));
        histogram_observe(&stats->decode_time, sets_seconds(q->first_token_ns, now_ns));
    }
    if (q->first_run_ns) histogram_observe(&stats->inference_time, sets_seconds(q->first_run_ns, now_ns));
    if (sequence_generated(q) > 1)
        histogram_observe(&stats->token_time, sets_seconds(q->first_token_ns, q->last_token_ns) /
                                                  (double)(sequence_generated(q) - 1));
}

static void count_sizes(struct stats *stats, const struct sequence *q) {
    const struct engine_request *r = q->request;
    histogram_observe(&stats->request_prompt_tokens, (double)r->prompt_count);
    histogram_observe(&stats->request_computed_tokens, (double)(r->prompt_count - q->cached_tokens));
    histogram_observe(&stats->request_generated_tokens, (double)sequence_generated(q));
    histogram_observe(&stats->request_max_tokens, (double)r->max_tokens);
}

/* Once all of its choices have ended. */
static void count_choices(struct stats *stats, const struct engine_request *r) {
    size_t longest = 0;
    for (uint32_t i = 0; i < r->choices; i++) {
        size_t generated = sequence_generated(&r->sequences[i]);
        if (generated > longest) longest = generated;
    }
    histogram_observe(&stats->request_choices, (double)r->choices);
    histogram_observe(&stats->request_longest_tokens, (double)longest);
}

/* Since the end before, or since it came where nothing was there to end. */
static double finish_interval(const struct scheduler *s, const struct sequence *q, uint64_t now_ns) {
    uint64_t arrival_ns = q->request->arrival_ns;
    return sets_seconds(arrival_ns > s->last_finish_ns ? arrival_ns : s->last_finish_ns, now_ns);
}

static void count_finish(struct scheduler *s, const struct sequence *q, enum engine_finish finish,
                         uint64_t now_ns) {
    _Atomic uint64_t *counters[] = {[ENGINE_FINISH_STOP] = &s->stats.finished_stop,
                                    [ENGINE_FINISH_LENGTH] = &s->stats.finished_length,
                                    [ENGINE_FINISH_CANCELLED] = &s->stats.finished_cancelled,
                                    [ENGINE_FINISH_TIMEOUT] = &s->stats.finished_timeout,
                                    [ENGINE_FINISH_FAILED] = &s->stats.finished_failed};
    stats_add(counters[finish], 1);
    if (finish == ENGINE_FINISH_STOP || finish == ENGINE_FINISH_LENGTH) {
        count_times(s, q, now_ns);
        count_sizes(&s->stats, q);
    }
    if (s->last_finish_ns) {
        double interval = finish_interval(s, q, now_ns);
        double smoothed = atomic_load_explicit(&s->stats.finish_interval, memory_order_relaxed);
        smoothed = smoothed > 0 ? smoothed + FINISH_INTERVAL_WEIGHT * (interval - smoothed) : interval;
        atomic_store_explicit(&s->stats.finish_interval, smoothed, memory_order_relaxed);
    }
    s->last_finish_ns = now_ns;
}

/* A prediction may have been followed through the same place twice. */
static uint32_t predicted_tokens(const struct sequence *q) {
    size_t right = q->prediction.right, count = q->request->terms->prediction_count;
    return (uint32_t)(right < count ? right : count);
}

static void post_finished(struct scheduler *s, const struct sequence *q,
                          const struct sequence_progress *progress, const struct error *failure,
                          uint64_t now_ns) {
    struct engine_event event = {.kind = ENGINE_EVENT_FINISHED,
                                 .choice = q->choice,
                                 .text = q->ending.bytes ? q->ending.bytes : "",
                                 .text_length = q->ending.length,
                                 .finish = progress->finish,
                                 .stop_string = progress->stop_string,
                                 .stop_token = progress->stop_token,
                                 .seed = q->request->seed,
                                 .prompt_tokens = (uint32_t)q->request->prompt_count,
                                 .cached_tokens = (uint32_t)q->cached_tokens,
                                 .completion_tokens = (uint32_t)sequence_generated(q),
                                 .predicted_tokens = predicted_tokens(q)};
    event.queue_seconds = sets_seconds(q->request->arrival_ns, q->first_run_ns ? q->first_run_ns : now_ns);
    if (q->first_token_ns) {
        event.prefill_seconds = sets_seconds(q->first_run_ns, q->first_token_ns);
        event.decode_seconds = sets_seconds(q->first_token_ns, q->last_token_ns);
    } else if (q->first_run_ns && q->request->max_tokens == 0) {
        event.prefill_seconds = sets_seconds(q->first_run_ns, now_ns);
    }
    if (q->request->pooling && progress->finish == ENGINE_FINISH_STOP) event.embedding = q->pooling.embedding;
    event.error = failure;
    enum status status = event_ring_post(&s->ready_list, &q->request->ring, &event);
    assert(status == STATUS_OK);
    (void)status;
}

void sets_finish(struct scheduler *s, struct sequence *q, struct sequence_progress progress,
                 const struct error *failure, uint64_t now_ns) {
    struct error flush_error;
    constraint_end(q);
    sets_remove(s, q);
    leave_submit_queue(s, q);
    sets_give_up_lead(q);
    kv_table_shrink(&q->table, s->options.pool, 0);
    sequence_move(q, SEQUENCE_DONE);
    if (progress.finish != ENGINE_FINISH_FAILED && sequence_end(q, &progress, &flush_error) != STATUS_OK) {
        progress.finish = ENGINE_FINISH_FAILED;
        failure = &flush_error;
    }
    count_finish(s, q, progress.finish, now_ns);
    post_finished(s, q, &progress, failure, now_ns);
    struct engine_request *request = q->request;
    if (--request->unfinished > 0) return;
    count_choices(&s->stats, request);
    sched_request_release(request);
}

void sets_fail(struct scheduler *s, struct sequence *q, enum status code, const struct error *e,
               uint64_t now_ns) {
    struct sequence_progress progress = {
        .finished = true, .finish = ENGINE_FINISH_FAILED, .stop_string = -1, .stop_token = -1};
    struct error error = *e;
    error.code = code;
    sets_finish(s, q, progress, &error, now_ns);
}

static void finish_plainly(struct scheduler *s, struct sequence *q, enum engine_finish finish,
                           uint64_t now_ns) {
    struct sequence_progress progress = {
        .finished = true, .finish = finish, .stop_string = -1, .stop_token = -1};
    sets_finish(s, q, progress, NULL, now_ns);
}

static bool is_over(const struct sequence *q, uint64_t now_ns, enum engine_finish *finish) {
    bool cancelled = atomic_load_explicit(&q->request->cancelled, memory_order_acquire);
    *finish = cancelled ? ENGINE_FINISH_CANCELLED : ENGINE_FINISH_TIMEOUT;
    return cancelled || now_ns >= q->request->deadline_ns;
}

static void finish_if_over(struct scheduler *s, struct sequence *q, uint64_t now_ns) {
    enum engine_finish finish;
    uint64_t deadline_ns = q->request->deadline_ns; /* the request may be gone with it */
    if (is_over(q, now_ns, &finish))
        finish_plainly(s, q, finish, now_ns);
    else if (deadline_ns < s->next_deadline_ns)
        s->next_deadline_ns = deadline_ns;
}

/* Looks at nobody in a turn before which nothing was cancelled and nothing has come to its end. */
void sets_sweep(struct scheduler *s, uint64_t now_ns) {
    bool cancelled = atomic_exchange_explicit(&s->any_cancelled, false, memory_order_acquire);
    if (!cancelled && now_ns < s->next_deadline_ns) return;
    s->next_deadline_ns = UINT64_MAX;
    for (size_t i = s->running_count; i-- > 0;) finish_if_over(s, s->running[i], now_ns);
    for (int i = 0; i < SCHEDULER_QUEUES; i++)
        for (struct sequence *q = s->queues[i].first, *next; q; q = next) {
            next = q->next;
            finish_if_over(s, q, now_ns);
        }
}

void sets_finish_all(struct scheduler *s) {
    uint64_t now_ns = clock_ns();
    while (s->running_count > 0) finish_plainly(s, s->running[0], ENGINE_FINISH_CANCELLED, now_ns);
    for (int i = 0; i < SCHEDULER_QUEUES; i++)
        while (s->queues[i].first) finish_plainly(s, s->queues[i].first, ENGINE_FINISH_CANCELLED, now_ns);
}

/* ---- arrivals ------------------------------------------------------------------------------------------ */

/* The first prompt token has no log probability: its event needs no row. An event ring that is new has room. */
static void begin_scores(struct scheduler *s, struct sequence *q) {
    q->prompt_scored = q->request->scored_from;
    if (q->request->scored_from > 1) return;
    struct engine_event event = {
        .kind = ENGINE_EVENT_PROMPT, .choice = q->choice, .text = "", .id = q->tokens[0]};
    enum status status = event_ring_post(&s->ready_list, &q->request->ring, &event);
    assert(status == STATUS_OK);
    (void)status;
}

static void enqueue(struct scheduler *s, struct sequence *q, uint64_t now_ns) {
    q->rank = q->request->rank;
    q->order = s->next_order++;
    queue_insert(&s->queues[QUEUE_WAITING], q);
    if (turns_are_on(&s->turns)) turns_add(&s->turns, q);
    if (q->choice == 0 && q->request->prompt_logprobs) begin_scores(s, q);
    if (sequence_target(q) == 0) finish_plainly(s, q, ENGINE_FINISH_LENGTH, now_ns);
}

void sets_take_arrivals(struct scheduler *s, struct engine_request *arrivals) {
    uint64_t now_ns = clock_ns();
    for (struct engine_request *r = arrivals, *next; r; r = next) {
        next = r->next_arrival;
        uint32_t choices = r->choices; /* r is gone when its last choice ends at once */
        struct sequence *sequences = r->sequences;
        if (r->deadline_ns < s->next_deadline_ns) s->next_deadline_ns = r->deadline_ns;
        /* A sweep that looked before it was here may have taken the mark of its cancelling. */
        if (atomic_load_explicit(&r->cancelled, memory_order_acquire))
            atomic_store_explicit(&s->any_cancelled, true, memory_order_relaxed);
        for (uint32_t i = 0; i < choices; i++) enqueue(s, &sequences[i], now_ns);
    }
}

/* ---- figures ------------------------------------------------------------------------------------------- */

void sets_publish(struct scheduler *s) {
    size_t choices, tokens;
    const struct queue *queues = s->queues;
    submit_queue_waiting(&s->submit_queue, &choices, &tokens);
    stats_set(&s->stats.running, s->running_count);
    stats_set(&s->stats.waiting,
              queues[QUEUE_WAITING].count + queues[QUEUE_PREEMPTED].count + queues[QUEUE_RESUMED].count);
    stats_set(&s->stats.backpressured, queues[QUEUE_BACKPRESSURED].count + queues[QUEUE_STRIPPED].count);
    stats_set(&s->stats.queued_tokens, tokens);
    stats_set(&s->stats.kv_pages_used, s->options.pool->page_count - kv_pool_available(s->options.pool));
    stats_set(&s->stats.kv_pages_total, s->options.pool->page_count);
}
