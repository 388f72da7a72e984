/* Continuous batching: one thread that owns the sequences, the pages and the plan of each step.
 *
 * In: requests, through the submission queue (submit_queue.h). Out: events (event_ring.h). Memory of a request:
 * request.h. A turn takes what arrived, ends what was cancelled or is past its deadline, takes and gives pages and slots,
 * computes one step, samples, and posts events. Joining and leaving happen at any turn.
 *
 * Same bits at any load: a token depends on the logits of its row and on (seed, choice, position) alone, and
 * the logits of a row do not depend on the step they are computed in (forward.h). So everything here may
 * follow the load, the clock and the order of arrival, and no result shows it. */
#pragma once

#include "engine/base/workers.h"
#include "engine/kv/kv_pool.h"
#include "engine/sample/sampler.h"
#include "engine/sched/batch.h"
#include "engine/sched/request.h"
#include "engine/sched/stats.h"

struct scheduler;
struct engine_ticket;

/* Everything pointed to is borrowed and outlives the scheduler. */
struct scheduler_options {
    struct request_rules rules;
    struct sampler_vocabulary vocabulary;
    const struct kernel_table *kernels;
    struct workers *workers;    /* rows are sampled on them; NULL: on the scheduler thread */
    struct kv_pool *pool;       /* holds at least one full context */
    struct batch_limits limits; /* mixed_prefill_rows 0: measured (prefill_budget.h), and more in a burst */
    size_t queue_max;           /* choices that wait */
    size_t queue_tokens_max;    /* 0: no limit */
    size_t aside_max; /* sequences that have lost their slot to others and are not done: backpressured,
                                   preempted. So many beside the batch, and no new ones are let in */
    bool fair_share;  /* clients of the same priority take turns (fair_share.h) */
    /* Rows for drafts (drafts.h); those of a second backend over the same pool too, if its step is not NULL
     * (self_drafts.h). draft_row_cost: at that price (struct step_cost); 0: measured. */
    bool speculate;
    struct backend self_drafts;
    double draft_row_cost;
    void (*wake)(void *context);
    void *wake_context;
};

/* Made without its thread: scheduler_turn drives it then (tests, simulation). */
enum status scheduler_create(const struct scheduler_options *options, struct scheduler **out,
                             struct error *e);
enum status scheduler_start(struct scheduler *s, struct error *e);

/* Ends what runs and waits, joins the thread, gives all pages back. All handles have been released, or are
 * never used again. */
void scheduler_destroy(struct scheduler *s);

/* One turn of the scheduler, without sleeping. Only while there is no thread. false: there was nothing to
 * compute. */
bool scheduler_turn(struct scheduler *s);

/* Any thread; as engine_submit and its kin in engine.h. Tickets, and scheduler_submit, are in ticket.c. */
enum status scheduler_submit(struct scheduler *s, const struct engine_prompt *prompts, size_t count,
                             struct engine_request **requests, struct error *e);
size_t scheduler_prompts_bytes(const struct scheduler *s, const struct engine_prompt *prompts, size_t count);
enum status scheduler_room(struct scheduler *s, struct error *e);
enum status ticket_create(struct scheduler *s, size_t choices, struct engine_ticket **out, struct error *e);
enum status ticket_prepare(struct engine_ticket *ticket, const struct engine_prompt *prompts, size_t count,
                           struct error *e);
enum status ticket_submit(struct engine_ticket *ticket, struct engine_request **requests, struct error *e);
void ticket_destroy(struct engine_ticket *ticket);
void scheduler_cancel(struct engine_request *request);
void scheduler_release(struct engine_request *request);
void scheduler_drain(struct scheduler *s);
unsigned scheduler_retry_after(struct scheduler *s);
void scheduler_stats(struct scheduler *s, struct engine_stats *out);
/* Without locks: also where the scheduler hangs. */
void scheduler_pulse(const struct scheduler *s, struct engine_pulse *out);

/* The thread that takes events. */
struct engine_request *scheduler_next_ready(struct scheduler *s);
bool scheduler_next_event(struct engine_request *request, struct engine_event *out);
