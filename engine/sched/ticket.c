/* The way of a request into the queue: places first, then all that is long, then in. Any thread, but one at a
 * time for a ticket. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/sched/scheduler_state.h"

struct engine_ticket {
    struct scheduler *scheduler;
    size_t choices, tokens; /* its places in the submission queue */
    struct engine_request **requests;
    size_t count; /* 0 until it is prepared */
};

static enum status count_refusal(struct scheduler *s, enum status status) {
    if (status == STATUS_LIMIT) stats_add(&s->stats.refused_queue, 1);
    return status;
}

enum status scheduler_room(struct scheduler *s, struct error *e) {
    return count_refusal(s, submit_queue_room(&s->submit_queue, e));
}

enum status ticket_create(struct scheduler *s, size_t choices, struct engine_ticket **out, struct error *e) {
    *out = NULL;
    enum status status = count_refusal(s, submit_queue_reserve(&s->submit_queue, choices, e));
    if (status != STATUS_OK) return status;
    struct engine_ticket *ticket = calloc(1, sizeof *ticket);
    if (!ticket) {
        submit_queue_give_back(&s->submit_queue, choices, 0);
        return error_set(e, STATUS_NO_MEMORY, "request", "%zu bytes", sizeof *ticket);
    }
    ticket->scheduler = s;
    ticket->choices = choices;
    *out = ticket;
    return STATUS_OK;
}

static size_t choices_of(const struct engine_prompt *prompts, size_t count) {
    size_t choices = 0;
    for (size_t i = 0; i < count; i++) choices += prompts[i].choices;
    return choices;
}

static size_t tokens_of(const struct engine_prompt *prompts, size_t count) {
    size_t tokens = 0;
    for (size_t i = 0; i < count; i++) tokens += prompts[i].choices * prompts[i].count;
    return tokens;
}

enum status ticket_prepare(struct engine_ticket *ticket, const struct engine_prompt *prompts, size_t count,
                           struct error *e) {
    struct scheduler *s = ticket->scheduler;
    size_t tokens = tokens_of(prompts, count);
    assert(ticket->count == 0 && choices_of(prompts, count) == ticket->choices);
    enum status status = count_refusal(s, submit_queue_reserve_tokens(&s->submit_queue, tokens, e));
    if (status != STATUS_OK) return status;
    ticket->tokens = tokens;
    ticket->requests = calloc(count ? count : 1, sizeof(struct engine_request *));
    if (!ticket->requests) return error_set(e, STATUS_NO_MEMORY, "request", "%zu prompts", count);
    status = sched_requests_create(&s->options.rules, prompts, count, ticket->requests, e);
    if (status != STATUS_OK) return status;
    ticket->count = count;
    for (size_t i = 0; i < count; i++) ticket->requests[i]->scheduler = s;
    return STATUS_OK;
}

enum status ticket_submit(struct engine_ticket *ticket, struct engine_request **requests, struct error *e) {
    uint64_t now_ns = clock_ns();
    for (size_t i = 0; i < ticket->count; i++) sched_request_arrive(ticket->requests[i], now_ns);
    enum status status =
        submit_queue_admit(&ticket->scheduler->submit_queue, ticket->requests, ticket->count, e);
    if (status != STATUS_OK) return status;
    memcpy(requests, ticket->requests, ticket->count * sizeof *requests);
    free(ticket->requests);
    free(ticket);
    return STATUS_OK;
}

void ticket_destroy(struct engine_ticket *ticket) {
    if (!ticket) return;
    submit_queue_give_back(&ticket->scheduler->submit_queue, ticket->choices, ticket->tokens);
    for (size_t i = 0; i < ticket->count; i++) sched_request_release(ticket->requests[i]);
    free(ticket->requests);
    free(ticket);
}

enum status scheduler_submit(struct scheduler *s, const struct engine_prompt *prompts, size_t count,
                             struct engine_request **requests, struct error *e) {
    struct engine_ticket *ticket;
    for (size_t i = 0; i < count; i++) requests[i] = NULL;
    enum status status = ticket_create(s, choices_of(prompts, count), &ticket, e);
    if (status != STATUS_OK) return status;
    status = ticket_prepare(ticket, prompts, count, e);
    if (status == STATUS_OK) status = ticket_submit(ticket, requests, e);
    if (status != STATUS_OK) ticket_destroy(ticket);
    return status;
}
