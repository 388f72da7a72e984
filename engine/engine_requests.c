/* Requests, events and figures of the door: the scheduler's, by name. */
#include "engine/engine_state.h"

enum status engine_submit(struct engine *engine, const struct engine_prompt *prompts, size_t count,
                          struct engine_request **requests, struct error *e) {
    return scheduler_submit(engine->scheduler, prompts, count, requests, e);
}

size_t engine_prompt_bytes(const struct engine *engine, const struct engine_prompt *prompt) {
    return scheduler_prompt_bytes(engine->scheduler, prompt);
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
}
