/* The forms of `prompt`, each turned into ids. Runs in the uv pool. */
#include <stdlib.h>
#include <string.h>

#include "server/completion.h"
#include "server/json_body.h"
#include "server/json_write.h"

static enum api_error_kind out_of_memory(struct api_error *e) {
    return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
}

static enum api_error_kind engine_failure(struct api_error *e, const struct error *cause) {
    switch (cause->code) {
    case STATUS_LIMIT:
        return api_error_set(e, API_CONTEXT_LENGTH, "prompt", "%s", cause->text);
    case STATUS_NO_MEMORY:
        return out_of_memory(e);
    default:
        return api_error_set(e, API_INVALID, "prompt", "%s", cause->text);
    }
}

/* An empty prompt starts from the token that stands for the start of a text. */
static enum api_error_kind start_empty(struct prompt *p, const struct engine *engine, struct api_error *e) {
    struct engine_info info;
    engine_info(engine, &info);
    int32_t start = info.bos >= 0 ? info.bos : info.end_count ? info.end_tokens[0] : -1;
    if (start < 0)
        return api_error_set(e, API_INVALID, "prompt",
                             "'prompt' is empty, and the model has no token to start from.");
    free(p->ids);
    p->ids = malloc(sizeof *p->ids);
    if (!p->ids) return out_of_memory(e);
    p->ids[0] = start;
    p->count = 1;
    return API_OK;
}

static enum api_error_kind set_echo(struct prompt *p, const char *text, size_t length, struct api_error *e) {
    p->echo = malloc(length + 1);
    if (!p->echo) return out_of_memory(e);
    if (length) memcpy(p->echo, text, length);
    p->echo[length] = '\0';
    p->echo_length = length;
    p->echo_characters = json_text_characters(text, length);
    return API_OK;
}

static enum api_error_kind read_text(struct prompt *p, const json_t *value, struct api_error *e) {
    const struct completion *c = p->completion;
    struct error cause;
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);
    if (engine_encode(c->engine, text, length, true, &p->ids, &p->count, &cause) != STATUS_OK)
        return engine_failure(e, &cause);
    if (c->params.echo && set_echo(p, text, length, e) != API_OK) return e->kind;
    return p->count ? API_OK : start_empty(p, c->engine, e);
}

static enum api_error_kind read_ids(struct prompt *p, const json_t *value, const struct api_limits *limits,
                                    struct api_error *e) {
    const struct completion *c = p->completion;
    size_t count = json_array_size(value);
    if (count > limits->context)
        return api_error_set(e, API_CONTEXT_LENGTH, "prompt",
                             "This model's maximum context length is %zu tokens; your prompt has %zu tokens.",
                             limits->context, count);
    if (api_params_token_ids(value, "prompt", limits->context, limits->vocabulary, &p->ids, &p->count, e) !=
        API_OK)
        return e->kind;
    if (!count) {
        if (c->params.echo && set_echo(p, "", 0, e) != API_OK) return e->kind;
        return start_empty(p, c->engine, e);
    }
    struct error cause;
    if (!c->params.echo) return API_OK;
    if (engine_decode(c->engine, p->ids, p->count, c->params.skip_special_tokens, &p->echo, &p->echo_length,
                      &cause) != STATUS_OK)
        return engine_failure(e, &cause);
    p->echo_characters = json_text_characters(p->echo, p->echo_length);
    return API_OK;
}

static enum api_error_kind allocate(struct completion *c, size_t count, const struct api_limits *limits,
                                    struct api_error *e) {
    size_t choices = (size_t)c->params.best_of;
    if (count > limits->choices_max / choices)
        return api_error_set(
            e, API_INVALID, "prompt",
            "%zu prompts with %zu choices each are too many; at most %zu choices are allowed.", count,
            choices, limits->choices_max);
    c->prompts = calloc(count, sizeof *c->prompts);
    if (!c->prompts) return out_of_memory(e);
    c->prompt_count = count;
    for (size_t i = 0; i < count; i++) {
        c->prompts[i].completion = c;
        c->prompts[i].index = i;
        c->prompts[i].choices = calloc(choices, sizeof *c->prompts[i].choices);
        if (!c->prompts[i].choices) return out_of_memory(e);
    }
    return completion_reserve(c, e);
}

static enum api_error_kind read_element(struct prompt *p, const json_t *value,
                                        const struct api_limits *limits, struct api_error *e) {
    if (json_is_string(value)) return read_text(p, value, e);
    if (json_is_array(value) && json_array_size(value)) return read_ids(p, value, limits, e);
    if (json_is_array(value))
        return api_error_set(e, API_INVALID, "prompt", "'prompt': element %zu is an empty array.", p->index);
    return api_error_set(
        e, API_INVALID, "prompt",
        "'prompt' must be a string, an array of token ids, or an array of such; element %zu is %s.", p->index,
        json_body_type_name(value));
}

enum api_error_kind api_prompt_read(struct completion *c, const json_t *value,
                                    const struct api_limits *limits, struct api_error *e) {
    if (!value) return api_error_set(e, API_INVALID, "prompt", "'prompt' is missing.");
    if (!json_is_string(value) && !json_is_array(value))
        return api_error_set(e, API_INVALID, "prompt", "'prompt' must be a string or an array, not %s.",
                             json_body_type_name(value));
    bool is_one =
        json_is_string(value) || !json_array_size(value) || json_is_integer(json_array_get(value, 0));
    if (allocate(c, is_one ? 1 : json_array_size(value), limits, e) != API_OK) return e->kind;
    if (json_is_string(value)) return read_text(&c->prompts[0], value, e);
    if (is_one) return read_ids(&c->prompts[0], value, limits, e);
    for (size_t i = 0; i < c->prompt_count; i++)
        if (read_element(&c->prompts[i], json_array_get(value, i), limits, e) != API_OK) return e->kind;
    return API_OK;
}
