/* Requests, events and figures of the door: the scheduler's, by name. */
#include "engine/api/state.h"
#include "engine/grammar/grammar_cache.h"

enum status engine_submit(struct engine *engine, const struct engine_prompt *prompts, size_t count,
                          struct engine_request **requests, struct error *e) {
    return scheduler_submit(engine->scheduler, prompts, count, requests, e);
}

size_t engine_prompts_bytes(const struct engine *engine, const struct engine_prompt *prompts, size_t count) {
    return scheduler_prompts_bytes(engine->scheduler, prompts, count);
}

enum status engine_has_room(struct engine *engine, struct error *e) {
    return scheduler_room(engine->scheduler, e);
}

enum status engine_ticket_create(struct engine *engine, size_t choices, struct engine_ticket **out,
                                 struct error *e) {
    return ticket_create(engine->scheduler, choices, out, e);
}

enum status engine_ticket_prepare(struct engine_ticket *ticket, const struct engine_prompt *prompts,
                                  size_t count, struct error *e) {
    return ticket_prepare(ticket, prompts, count, e);
}

enum status engine_ticket_submit(struct engine_ticket *ticket, struct engine_request **requests,
                                 struct error *e) {
    return ticket_submit(ticket, requests, e);
}

void engine_ticket_destroy(struct engine_ticket *ticket) {
    ticket_destroy(ticket);
}

void *engine_request_user(const struct engine_request *request) {
    return request->user;
}

void engine_request_cancel(struct engine_request *request) {
    scheduler_cancel(request);
}

void engine_request_release(struct engine_request *request) {
    scheduler_release(request);
}

struct engine_request *engine_next_ready(struct engine *engine) {
    return scheduler_next_ready(engine->scheduler);
}

bool engine_request_next_event(struct engine_request *request, struct engine_event *out) {
    return scheduler_next_event(request, out);
}

void engine_drain(struct engine *engine) {
    scheduler_drain(engine->scheduler);
}

unsigned engine_retry_after(const struct engine *engine) {
    return scheduler_retry_after(engine->scheduler);
}

void engine_stats(const struct engine *engine, struct engine_stats *out) {
    scheduler_stats(engine->scheduler, out);
    grammar_cache_stats(engine->grammars, &out->grammars);
}

void engine_pulse(const struct engine *engine, struct engine_pulse *out) {
    scheduler_pulse(engine->scheduler, out);
}
