/* Admission: a prepared completion becomes requests of the engine. Loop thread. */
#include <stdlib.h>
#include <string.h>

#include "server/completion.h"

/* The engine has one number for the prompt and what is generated; completion_event.c gives out of each what
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
        .ignore_end = params->ignore_eos,
        .include_stop_text = params->include_stop_str_in_output,
        .skip_special = params->skip_special_tokens,
        .logprobs = most_logprobs(params),
        .prompt_logprobs = (params->echo && params->logprobs >= 0) || params->prompt_logprobs >= 0,
        .priority = (int)params->priority,
        .client = p->completion->client,
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
        return api_error_set(e, strcmp(cause->where, "prompt") == 0 ? API_CONTEXT_LENGTH : API_INVALID,
                             cause->where, "%s", cause->text);
    default:
        return api_error_set(e, API_INTERNAL, NULL, "The request could not be admitted: %s.",
                             status_name(cause->code));
    }
}

size_t completion_admitted_bytes(struct completion *c) {
    size_t bytes = sizeof *c;
    for (size_t i = 0; i < c->prompt_count; i++) {
        struct engine_prompt prompt;
        describe(&prompt, &c->prompts[i]);
        bytes += sizeof c->prompts[i] + c->prompts[i].count * sizeof(int32_t) + c->prompts[i].echo_length +
                 prompt.choices * sizeof(struct choice) + engine_prompt_bytes(c->engine, &prompt);
    }
    const struct api_params *p = &c->params;
    for (size_t i = 0; i < p->stop_count; i++) bytes += sizeof *p->stops + p->stops[i].length;
    for (size_t i = 0; i < c->ban_count; i++) bytes += sizeof *c->bans + c->bans[i].count * sizeof(int32_t);
    return bytes + (p->stop_token_count + p->allowed_count) * sizeof(int32_t) +
           p->bias_count * sizeof *p->biases;
}

enum api_error_kind completion_submit(struct completion *c, struct engine *engine, struct api_error *e) {
    struct engine_prompt *prompts = calloc(c->prompt_count, sizeof *prompts);
    struct engine_request **handles = calloc(c->prompt_count, sizeof *handles);
    struct error cause = {.code = STATUS_NO_MEMORY};
    enum status status = STATUS_NO_MEMORY;
    if (prompts && handles) {
        for (size_t i = 0; i < c->prompt_count; i++) describe(&prompts[i], &c->prompts[i]);
        status = engine_submit(engine, prompts, c->prompt_count, handles, &cause);
    }
    if (status == STATUS_OK)
        for (size_t i = 0; i < c->prompt_count; i++) c->prompts[i].handle = handles[i];
    free(prompts);
    free(handles);
    return status == STATUS_OK ? API_OK : refuse(e, &cause);
}
