/* Requests from their tickets to their release. */
#include "tests/support/fake_engine_state.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"

static atomic_size_t requests_made;

static void embed(const struct engine_prompt *p, struct fake_choice *choice) {
    double sum = 0;
    for (size_t i = 0; i < p->count; i++) sum += p->ids[i];
    const double first = p->pooling == ENGINE_POOLING_MEAN ? sum / (double)p->count : p->ids[p->count - 1];
    for (int i = 0; i < FAKE_EMBEDDING_WIDTH; i++) choice->embedding[i] = (float)(first + i);
    choice->events[choice->count - 1].event.embedding = choice->embedding;
    choice->events[choice->count - 1].event.finish = ENGINE_FINISH_STOP;
}

static struct engine_request *create_request(struct engine *engine, const struct engine_prompt *p) {
    struct engine_request *r = calloc(1, sizeof *r);
    size_t tokens = p->max_tokens < FAKE_CONTEXT ? p->max_tokens : FAKE_CONTEXT;
    int32_t *ids = malloc((p->count + tokens + 1) * sizeof *ids);
    struct engine_sampling sampling = p->sampling;
    assert(r && ids);
    if (!sampling.has_seed) sampling.seed = 12345;
    r->engine = engine;
    r->user = p->user;
    r->prompt_count = p->count;
    r->choice_count = p->choices;
    r->choices = calloc(p->choices, sizeof *r->choices);
    r->timeout_ms = p->timeout_ms;
    for (uint32_t i = 0; i < p->choices; i++) {
        memcpy(ids, p->ids, p->count * sizeof *ids);
        r->choices[i].events = calloc(p->count + tokens + 1, sizeof *r->choices[i].events);
        assert(r->choices[i].events);
        r->choices[i].count = fake_choice_lay_down(engine, p, i, &sampling, ids, r->choices[i].events);
        if (p->pooling) embed(p, &r->choices[i]);
    }
    free(ids);
    return r;
}

static void destroy_request(struct engine_request *request) {
    for (uint32_t i = 0; i < request->choice_count; i++) free(request->choices[i].events);
    free(request->choices);
    free(request);
}

bool fake_request_is_finished(const struct engine_request *r) {
    for (uint32_t i = 0; i < r->choice_count; i++)
        if (!r->choices[i].finished) return false;
    return true;
}

size_t fake_engine_running(const struct engine *engine) {
    size_t count = 0;
    for (const struct engine_request *r = engine->requests; r; r = r->next)
        if (r->running && !fake_request_is_finished(r)) count += r->choice_count;
    return count;
}

size_t fake_engine_waiting(const struct engine *engine) {
    size_t count = 0;
    for (const struct engine_request *r = engine->requests; r; r = r->next)
        if (!r->running && !fake_request_is_finished(r)) count += r->choice_count;
    return count;
}

static enum status check_room(struct engine *engine, size_t choices, struct error *e) {
    if (engine->draining) return error_set(e, STATUS_CLOSING, "", "draining");
    if (fake_engine_waiting(engine) + engine->reserved + choices <= engine->options.queue_max)
        return STATUS_OK;
    engine->stats.refused_queue++;
    return error_set(e, STATUS_LIMIT, "queue", "the queue is full");
}

enum status engine_has_room(struct engine *engine, struct error *e) {
    pthread_mutex_lock(&engine->lock);
    enum status status = check_room(engine, 1, e);
    pthread_mutex_unlock(&engine->lock);
    return status;
}

/* ---- tickets ------------------------------------------------------------------------------------------- */

struct engine_ticket {
    struct engine *engine;
    size_t choices;
    struct engine_request **requests;
    size_t count;
};

enum status engine_ticket_create(struct engine *engine, size_t choices, struct engine_ticket **out,
                                 struct error *e) {
    *out = NULL;
    pthread_mutex_lock(&engine->lock);
    enum status status = check_room(engine, choices, e);
    if (status == STATUS_OK) engine->reserved += choices;
    pthread_mutex_unlock(&engine->lock);
    if (status != STATUS_OK) return status;
    struct engine_ticket *ticket = calloc(1, sizeof *ticket);
    assert(ticket);
    *ticket = (struct engine_ticket){.engine = engine, .choices = choices};
    *out = ticket;
    return STATUS_OK;
}

static enum status check_prompt(const struct engine_prompt *p, struct error *e) {
    if (p->count >= FAKE_CONTEXT)
        return error_set(e, STATUS_INVALID_ARGUMENT, "context",
                         "the context is %d tokens, the prompt has %zu", FAKE_CONTEXT, p->count);
    for (size_t i = 0; i < p->count; i++)
        if (p->ids[i] == FAKE_BEYOND)
            return error_set(e, STATUS_INVALID_ARGUMENT, "prompt", "token id %d is not in the model",
                             p->ids[i]);
    return STATUS_OK;
}

enum status engine_ticket_prepare(struct engine_ticket *ticket, const struct engine_prompt *prompts,
                                  size_t count, struct error *e) {
    size_t choices = 0;
    for (size_t i = 0; i < count; i++) {
        if (check_prompt(&prompts[i], e) != STATUS_OK) return STATUS_INVALID_ARGUMENT;
        choices += prompts[i].choices;
    }
    assert(choices == ticket->choices);
    ticket->requests = calloc(count, sizeof *ticket->requests);
    assert(ticket->requests);
    for (; ticket->count < count; ticket->count++)
        ticket->requests[ticket->count] = create_request(ticket->engine, &prompts[ticket->count]);
    atomic_fetch_add(&requests_made, count);
    return STATUS_OK;
}

enum status engine_ticket_submit(struct engine_ticket *ticket, struct engine_request **requests,
                                 struct error *e) {
    struct engine *engine = ticket->engine;
    struct engine_request **end = &engine->requests;
    pthread_mutex_lock(&engine->lock);
    if (engine->draining) {
        pthread_mutex_unlock(&engine->lock);
        return error_set(e, STATUS_CLOSING, "", "draining");
    }
    while (*end) end = &(*end)->next;
    for (size_t i = 0; i < ticket->count; i++) {
        *end = requests[i] = ticket->requests[i];
        if (requests[i]->timeout_ms)
            requests[i]->deadline_ns = clock_ns() + requests[i]->timeout_ms * 1000000ull;
        end = &(*end)->next;
    }
    engine->reserved -= ticket->choices;
    pthread_mutex_unlock(&engine->lock);
    free(ticket->requests);
    free(ticket);
    return STATUS_OK;
}

void engine_ticket_destroy(struct engine_ticket *ticket) {
    if (!ticket) return;
    pthread_mutex_lock(&ticket->engine->lock);
    ticket->engine->reserved -= ticket->choices;
    pthread_mutex_unlock(&ticket->engine->lock);
    for (size_t i = 0; i < ticket->count; i++) destroy_request(ticket->requests[i]);
    free(ticket->requests);
    free(ticket);
}

enum status engine_submit(struct engine *engine, const struct engine_prompt *prompts, size_t count,
                          struct engine_request **requests, struct error *e) {
    struct engine_ticket *ticket;
    size_t choices = 0;
    for (size_t i = 0; i < count; i++) choices += prompts[i].choices;
    enum status status = engine_ticket_create(engine, choices, &ticket, e);
    if (status != STATUS_OK) return status;
    status = engine_ticket_prepare(ticket, prompts, count, e);
    if (status == STATUS_OK) status = engine_ticket_submit(ticket, requests, e);
    if (status != STATUS_OK) engine_ticket_destroy(ticket);
    return status;
}

size_t engine_prompts_bytes(const struct engine *engine, const struct engine_prompt *prompts, size_t count) {
    size_t bytes = 0;
    (void)engine;
    for (size_t i = 0; i < count; i++) {
        const struct engine_prompt *p = &prompts[i];
        size_t room = FAKE_CONTEXT - p->count, made = p->max_tokens < room ? p->max_tokens : room;
        bytes += p->choices * (p->count + made) * sizeof(int32_t);
    }
    return bytes;
}

size_t fake_engine_requests_made(void) {
    return atomic_load(&requests_made);
}

void *engine_request_user(const struct engine_request *request) {
    return request->user;
}

void engine_request_cancel(struct engine_request *request) {
    pthread_mutex_lock(&request->engine->lock);
    fake_request_finish(request->engine, request, ENGINE_FINISH_CANCELLED);
    pthread_mutex_unlock(&request->engine->lock);
}

void engine_request_release(struct engine_request *request) {
    struct engine *engine = request->engine;
    pthread_mutex_lock(&engine->lock);
    struct engine_request **at = &engine->requests;
    while (*at != request) at = &(*at)->next;
    *at = request->next;
    for (uint32_t i = 0; i < request->choice_count; i++)
        engine->stats.finished_cancelled += !request->choices[i].finished;
    destroy_request(request);
    pthread_mutex_unlock(&engine->lock);
}
