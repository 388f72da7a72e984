/* One prompt with its choices, from submit to the last reference. What it may need is allocated here, on the
 * submitting thread, so that no step allocates for it.
 *
 * Who may touch what, and when:
 *   - everything but the last group is written by sched_request_create, and only read afterwards;
 *   - the sequences belong to the scheduler thread from admission until all are done;
 *   - the mailbox belongs to its outbox's mutex.
 * References: one of the handle (released by engine_request_release), one of the scheduler from admission
 * until each choice has ended. Whoever releases the last one frees the request; by then no page is held. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/engine.h"
#include "engine/sample/sampler.h"
#include "engine/sched/backend.h"
#include "engine/sched/mailbox.h"
#include "engine/text/tokenizer.h"

struct scheduler;
struct sequence;

/* What the model and the options impose on every request. Immutable while the scheduler lives. */
struct request_rules {
    size_t context;        /* tokens of a sequence */
    size_t rows;           /* of the head: ids are below */
    size_t page_tokens;    /* of the cache */
    size_t mailbox_events; /* undelivered events a choice may have */
    size_t logprobs_max;
    size_t choices_max;                          /* of one request */
    const struct sampler_vocabulary *vocabulary; /* NULL: every row is a token */
    const struct tokenizer *tokenizer;           /* NULL: every text is empty */
    const int32_t *end_tokens;
    size_t end_count;
    struct backend backend;
};

struct engine_request {
    const struct request_rules *rules;
    struct scheduler *scheduler;
    void *user;
    struct engine_sampling sampling; /* its lists are owned */
    struct engine_string *stops;     /* owned, texts too */
    size_t stop_count;
    int32_t
        *enders; /* ids that end it: those of the model (unless ignored), then the request's stop tokens */
    size_t ender_count;  /* of both */
    size_t model_enders; /* the first so many */
    uint32_t max_tokens; /* clamped to the context */
    uint32_t min_tokens;
    size_t prompt_count;
    bool include_stop_text, skip_special, prompt_logprobs;
    int logprobs; /* -1: none */
    int64_t seed;
    uint64_t arrival_ns;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    int64_t rank;         /* lower goes first (request_rank) */
    int priority;
    uint64_t client;
    struct sequence *sequences;
    uint32_t choices;

    struct mailbox mailbox;
    struct engine_request *next_arrival; /* of the inbox */
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

/* One reference, the handle's. STATUS_INVALID_ARGUMENT with the field in e->where; STATUS_NO_MEMORY. */
enum status sched_request_create(const struct request_rules *rules, const struct engine_prompt *prompt,
                                 uint64_t now_ns, struct engine_request **out, struct error *e);

static inline struct engine_request *sched_request_of(struct mailbox *mailbox) {
    return (struct engine_request *)(void *)((char *)mailbox - offsetof(struct engine_request, mailbox));
}
/* Memory that a request for this prompt takes until it is freed, at most. */
size_t sched_request_bytes(const struct request_rules *rules, const struct engine_prompt *prompt);

void sched_request_retain(struct engine_request *request);
void sched_request_release(struct engine_request *request);
