/* Admission: a completion takes places in the engine's queue, has made what it needs, and becomes requests
 * there. */
#include <stdlib.h>
#include <string.h>

#include "server/completion.h"

static void describe(struct engine_prompt *to, struct prompt *p) {
    const struct api_params *params = &p->completion->params;
    /* best_of ranks by the mean log-probability, so it needs those of the tokens themselves. */
    bool ranks = params->best_of > params->n;
    *to = (struct engine_prompt){
        .ids = p->ids,
        .count = p->count,
        .choices = (uint32_t)params->best_of,
        .max_tokens = (uint32_t)params->max_tokens,
        .min_tokens = (uint32_t)params->min_tokens,
        .sampling = {.temperature = params->temperature,
                     .top_p = params->top_p,
                     .min_p = params->min_p,
                     .typical_p = params->typical_p,
                     .top_k = (uint32_t)params->top_k,
                     .presence_penalty = params->presence_penalty,
                     .frequency_penalty = params->frequency_penalty,
                     .repetition_penalty = params->repetition_penalty,
                     .biases = params->biases,
                     .bias_count = params->bias_count,
                     .allowed = params->allowed,
                     .allowed_count = params->allowed_count,
                     .has_seed = params->has_seed,
                     .seed = params->seed},
        .stops = params->stops,
        .stop_count = params->stop_count,
        .stop_tokens = params->stop_tokens,
        .stop_token_count = params->stop_token_count,
        .ignore_end = params->ignore_eos,
        .include_stop_text = params->include_stop_str_in_output,
        .skip_special = params->skip_special_tokens,
        .logprobs = params->logprobs >= 0 ? (int)params->logprobs
                    : ranks               ? 0
                                          : -1,
        .prompt_logprobs = params->echo && params->logprobs >= 0,
        .priority = (int)params->priority,
        .timeout_ms = (uint32_t)params->timeout_ms,
        .user = p,
    };
}

static enum api_error_kind refuse(struct api_error *e, const struct error *cause) {
    switch (cause->code) {
    case STATUS_LIMIT:
        return api_error_set(e, API_QUEUE_FULL, NULL,
                             "The server is busy: its queue is full. Try again later.");
    case STATUS_CLOSING:
        return api_error_set(e, API_DRAINING, NULL, "The server is shutting down.");
    case STATUS_INVALID_ARGUMENT:
        if (strcmp(cause->where, "context") == 0)
            return api_error_set(e, API_CONTEXT_LENGTH, "prompt", "%s", cause->text);
        return api_error_set(e, API_INVALID, cause->where, "'%s': %s.", cause->where, cause->text);
    case STATUS_NO_MEMORY:
        return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
    default:
        return api_error_set(e, API_INTERNAL, NULL, "The request could not be admitted: %s.",
                             status_name(cause->code));
    }
}

enum api_error_kind completion_check_room(struct engine *engine, struct api_error *e) {
    struct error cause;
    return engine_has_room(engine, &cause) == STATUS_OK ? API_OK : refuse(e, &cause);
}

enum api_error_kind completion_reserve(struct completion *c, struct api_error *e) {
    struct error cause;
    size_t choices = c->prompt_count * (size_t)c->params.best_of;
    enum status status = engine_ticket_create(c->engine, choices, &c->ticket, &cause);
    return status == STATUS_OK ? API_OK : refuse(e, &cause);
}

enum api_error_kind completion_build(struct completion *c, struct api_error *e) {
    struct error cause = {.code = STATUS_NO_MEMORY};
    struct engine_prompt *prompts = calloc(c->prompt_count, sizeof *prompts);
    if (!prompts) return refuse(e, &cause);
    for (size_t i = 0; i < c->prompt_count; i++) describe(&prompts[i], &c->prompts[i]);
    enum status status = engine_ticket_prepare(c->ticket, prompts, c->prompt_count, &cause);
    free(prompts);
    return status == STATUS_OK ? API_OK : refuse(e, &cause);
}

enum api_error_kind completion_submit(struct completion *c, struct api_error *e) {
    struct error cause = {.code = STATUS_NO_MEMORY};
    struct engine_request **handles = calloc(c->prompt_count, sizeof *handles);
    if (!handles) return refuse(e, &cause);
    enum status status = engine_ticket_submit(c->ticket, handles, &cause);
    if (status == STATUS_OK) {
        c->ticket = NULL;
        for (size_t i = 0; i < c->prompt_count; i++) c->prompts[i].handle = handles[i];
    }
    free(handles);
    return status == STATUS_OK ? API_OK : refuse(e, &cause);
}
