/* Admission: a completion takes places in the engine's queue, has made what it needs, and becomes requests
 * there. */
#include <stdlib.h>
#include <string.h>

#include "server/completion/completion.h"
#include "server/completion/embedding.h"
#include "server/completion/prompt.h"

/* The engine has one number for the prompt and what is generated; event.c gives out of each what
 * was asked for. best_of ranks by the mean log-probability, so it needs those of the tokens themselves. */
static int most_logprobs(const struct api_params *params) {
    int64_t most = params->logprobs > params->prompt_logprobs ? params->logprobs : params->prompt_logprobs;
    return most < 0 && params->best_of > params->n ? 0 : (int)most;
}

static void describe(struct engine_prompt *to, struct prompt *p) {
    const struct api_params *params = &p->completion->params;
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
                     .bans = p->completion->bans,
                     .ban_count = p->completion->ban_count,
                     .has_seed = params->has_seed,
                     .seed = params->seed},
        .stops = params->stops,
        .stop_count = params->stop_count,
        .stop_tokens = params->stop_tokens,
        .stop_token_count = params->stop_token_count,
        .prediction = p->completion->prediction,
        .prediction_count = p->completion->prediction_count,
        .grammar = p->completion->grammar,
        .ignore_end = params->ignore_eos,
        .include_stop_text = params->include_stop_str_in_output,
        .skip_special = params->skip_special_tokens,
        .logprobs = most_logprobs(params),
        .prompt_logprobs =
            (params->echo && params->logprobs >= 0) || params->prompt_logprobs >= 0 || p->scored_from > 0,
        .prompt_logprobs_from = p->scored_from,
        .pooling = params->pooling,
        .priority = (int)params->priority,
        .client = p->completion->client,
        .timeout_ms = (uint32_t)params->timeout_ms,
        .user = p,
    };
}

/* malloc'ed; NULL: no memory. */
static struct engine_prompt *describe_all(struct completion *c) {
    struct engine_prompt *prompts = calloc(c->prompt_count, sizeof *prompts);
    for (size_t i = 0; prompts && i < c->prompt_count; i++) describe(&prompts[i], &c->prompts[i]);
    return prompts;
}

/* field: of the prompt. */
static enum api_error_kind refuse(struct api_error *e, const char *field, const struct error *cause) {
    switch (cause->code) {
    case STATUS_LIMIT:
        return api_error_set(e, API_QUEUE_FULL, NULL,
                             "The server is busy: its queue is full. Try again later.");
    case STATUS_CLOSING:
        return api_error_set(e, API_DRAINING, NULL, "The server is shutting down.");
    case STATUS_INVALID_ARGUMENT:
        if (strcmp(cause->where, "context") == 0)
            return api_error_set(e, API_CONTEXT_LENGTH, field, "%s", cause->text);
        if (strcmp(cause->where, "prompt") == 0)
            return api_error_set(e, API_INVALID, field, "'%s': %s.", field, cause->text);
        return api_error_set(e, API_INVALID, cause->where, "'%s': %s.", cause->where, cause->text);
    case STATUS_NO_MEMORY:
        return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
    default:
        return api_error_set(e, API_INTERNAL, NULL, "The request could not be admitted: %s: %s.",
                             cause->where, cause->text);
    }
}

/* The engine does not say with which of several prompts something is wrong. */
static const char *field_of(const struct completion *c) {
    return c->prompt_count == 1 ? c->prompts[0].field : prompt_field(c);
}

bool completion_admitted_bytes(struct completion *c, size_t *bytes) {
    struct engine_prompt *prompts = describe_all(c);
    if (!prompts) return false;
    *bytes = sizeof *c + engine_prompts_bytes(c->engine, prompts, c->prompt_count);
    free(prompts);
    for (size_t i = 0; i < c->prompt_count; i++)
        *bytes += sizeof c->prompts[i] + c->prompts[i].count * sizeof(int32_t) + c->prompts[i].echo_length +
                  (size_t)c->params.best_of * sizeof(struct choice) + embedding_bytes(c);
    const struct api_params *p = &c->params;
    for (size_t i = 0; i < p->stop_count; i++) *bytes += sizeof *p->stops + p->stops[i].length;
    for (size_t i = 0; i < c->ban_count; i++) *bytes += sizeof *c->bans + c->bans[i].count * sizeof(int32_t);
    *bytes += (p->stop_token_count + p->allowed_count + c->prediction_count) * sizeof(int32_t) +
              p->bias_count * sizeof *p->biases;
    return true;
}

enum api_error_kind completion_check_room(struct engine *engine, struct api_error *e) {
    struct error cause;
    return engine_has_room(engine, &cause) == STATUS_OK ? API_OK : refuse(e, "prompt", &cause);
}

enum api_error_kind completion_reserve(struct completion *c, struct api_error *e) {
    struct error cause;
    size_t choices = c->prompt_count * (size_t)c->params.best_of;
    enum status status = engine_ticket_create(c->engine, choices, &c->ticket, &cause);
    return status == STATUS_OK ? API_OK : refuse(e, field_of(c), &cause);
}

enum api_error_kind completion_build(struct completion *c, struct api_error *e) {
    struct error cause = {.code = STATUS_NO_MEMORY};
    struct engine_prompt *prompts = describe_all(c);
    if (!prompts) return refuse(e, field_of(c), &cause);
    enum status status = engine_ticket_prepare(c->ticket, prompts, c->prompt_count, &cause);
    free(prompts);
    return status == STATUS_OK ? API_OK : refuse(e, field_of(c), &cause);
}

enum api_error_kind completion_submit(struct completion *c, struct api_error *e) {
    struct error cause = {.code = STATUS_NO_MEMORY};
    struct engine_request **handles = calloc(c->prompt_count, sizeof *handles);
    if (!handles) return refuse(e, field_of(c), &cause);
    enum status status = engine_ticket_submit(c->ticket, handles, &cause);
    if (status == STATUS_OK) {
        c->ticket = NULL;
        for (size_t i = 0; i < c->prompt_count; i++) c->prompts[i].handle = handles[i];
    }
    free(handles);
    return status == STATUS_OK ? API_OK : refuse(e, field_of(c), &cause);
}
