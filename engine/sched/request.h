/* One prompt with its choices, from its making to the last reference. What it may need is allocated here, on
 * the thread that prepares it, so that no step allocates for it.
 *
 * Who may touch what, and when:
 *   - everything but the last group is written by sched_requests_create and sched_request_arrive, and only
 *     read afterwards;
 *   - the sequences belong to the scheduler thread from admission until all are done;
 *   - the event ring belongs to its ready list's mutex.
 * References: one of the handle (released by engine_request_release), one of the scheduler from admission
 * until each choice has ended. Whoever releases the last one frees the request; by then no page is held. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/types/request.h"
#include "engine/sched/event_ring.h"
#include "engine/sched/rules.h"
#include "engine/sched/terms.h"

struct scheduler;
struct sequence;

struct engine_request {
    const struct request_rules *rules;
    struct scheduler *scheduler;
    void *user;
    struct terms *terms; /* held; what it shares with the other prompts */
    uint32_t max_tokens; /* clamped to the context */
    uint32_t min_tokens;
    size_t prompt_count;
    bool include_stop_text, skip_special, prompt_logprobs;
    size_t scored_from; /* first token of the prompt whose log probability is given out */
    enum engine_pooling pooling;
    int logprobs; /* -1: none */
    int64_t seed;
    int priority;
    uint64_t client;
    uint32_t timeout_ms; /* 0: none */
    /* Set by sched_request_arrive. */
    uint64_t arrival_ns;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    int64_t rank;         /* lower goes first (request_rank) */
    struct sequence *sequences;
    uint32_t choices;

    struct event_ring ring;
    struct engine_request *next_arrival; /* of the submission queue */
    struct sequence
        *leader;         /* computes the prompt, for its siblings too; NULL: none does. Scheduler thread */
    uint32_t unfinished; /* choices; scheduler thread */
    atomic_bool cancelled;
    atomic_uint references;
};

/* A step of priority is worth so many seconds of waiting: a request of low priority is overtaken, but not for
 * ever. */
#define REQUEST_PRIORITY_SECONDS 30

/* Where a request stands among the others: its arrival, put off by its priority. */
int64_t request_rank(uint64_t arrival_ns, int priority);

/* requests[i] is made of prompts[i], with one reference, the handle's. All or none. What prompts have in
 * common (their lists lie at the same place) is made once, and of each prompt the decoded state for its text.
 * Long: it costs what the prompts, their choices and their stop strings cost. STATUS_INVALID_ARGUMENT with
 * the field in e->where, "context" for a prompt that leaves no room for a token; STATUS_NO_MEMORY. */
enum status sched_requests_create(const struct request_rules *rules, const struct engine_prompt *prompts,
                                  size_t count, struct engine_request **requests, struct error *e);

/* It is submitted now: its time limit and its rank count from here. */
void sched_request_arrive(struct engine_request *request, uint64_t now_ns);

static inline struct engine_request *sched_request_of(struct event_ring *ring) {
    return (struct engine_request *)(void *)((char *)ring - offsetof(struct engine_request, ring));
}

/* Memory that sched_requests_create takes for these prompts until all of it is freed, at most. */
size_t sched_requests_bytes(const struct request_rules *rules, const struct engine_prompt *prompts,
                            size_t count);

void sched_request_retain(struct engine_request *request);
void sched_request_release(struct engine_request *request);
