/* The forms of `prompt`, each turned into ids. Runs in the uv pool. */
#include "server/completion/prompt.h"

#include <stdlib.h>
#include <string.h>

#include "server/api/json_body.h"
#include "server/completion/answer_shape.h"
#include "server/json/write.h"

static enum api_error_kind out_of_memory(struct api_error *e) {
    return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
}

/* How far a text that is too long is counted. */
enum { ENCODE_CONTEXTS_MAX = 8 };

const char *prompt_field(const struct completion *c) {
    return c->endpoint == API_CHAT ? "messages" : c->endpoint == API_EMBEDDINGS ? "input" : "prompt";
}

static enum api_error_kind too_long(const struct prompt *p, struct api_error *e, size_t context,
                                    const char *at_least, size_t count) {
    return api_error_set(e, API_CONTEXT_LENGTH, p->field,
                         "This model's maximum context length is %zu tokens, however your prompt has %s%zu "
                         "tokens. Please reduce your prompt.",
                         context, at_least, count);
}

/* Even if each token were the longest there is. */
static enum api_error_kind longer_than_tokens(const struct prompt *p, struct api_error *e, size_t context,
                                              size_t length) {
    return api_error_set(
        e, API_CONTEXT_LENGTH, p->field,
        "This model's maximum context length is %zu tokens, however your prompt has %zu bytes, "
        "where %zu are the most that could be read. Please reduce your prompt.",
        context, length, p->completion->text_bytes_max);
}

static enum api_error_kind engine_failure(const struct prompt *p, struct api_error *e,
                                          const struct error *cause) {
    if (cause->code == STATUS_NO_MEMORY) return out_of_memory(e);
    return api_error_set(e, API_INVALID, p->field, "The prompt can't be read: %s.", cause->text);
}

size_t prompt_ids_max(const struct completion *c, const struct api_limits *limits) {
    size_t most = limits->context * ENCODE_CONTEXTS_MAX;
    bool may_be_cut = c->params.truncate_prompt_tokens != 0;
    return may_be_cut && most < limits->tokenize_ids_max ? limits->tokenize_ids_max : most;
}

enum api_error_kind prompt_encode_failure(const struct prompt *p, const struct api_limits *limits,
                                          const struct error *cause, size_t ids_max, struct api_error *e) {
    if (cause->code == STATUS_LIMIT && strcmp(cause->where, "tokens") == 0)
        return too_long(p, e, limits->context, "more than ", ids_max);
    return engine_failure(p, e, cause);
}

enum api_error_kind prompt_check_count(const struct prompt *p, const struct api_limits *limits,
                                       struct api_error *e) {
    return p->count > limits->context ? too_long(p, e, limits->context, "", p->count) : API_OK;
}

enum api_error_kind prompt_check_bytes(const struct prompt *p, size_t length, const struct api_limits *limits,
                                       struct api_error *e) {
    return length > p->completion->text_bytes_max ? longer_than_tokens(p, e, limits->context, length)
                                                  : API_OK;
}

/* There is nothing to make an embedding of, whatever the tokenizer would put around it. */
static enum api_error_kind refuse_empty(const struct prompt *p, struct api_error *e) {
    if (p->completion->prompt_count == 1)
        return api_error_set(e, API_INVALID, p->field, "'%s' is empty.", p->field);
    return api_error_set(e, API_INVALID, p->field, "'%s': element %zu is empty.", p->field, p->index);
}

/* An empty prompt starts from the token that stands for the start of a text. */
enum api_error_kind prompt_start_empty(struct prompt *p, struct api_error *e) {
    const struct completion *c = p->completion;
    struct engine_info info;
    if (c->endpoint == API_EMBEDDINGS) return refuse_empty(p, e);
    engine_info(c->engine, &info);
    if (info.start < 0)
        return api_error_set(e, API_INVALID, p->field,
                             "The prompt is empty, and the model has no token to start from.");
    free(p->ids);
    p->ids = malloc(sizeof *p->ids);
    if (!p->ids) return out_of_memory(e);
    p->ids[0] = info.start;
    p->count = 1;
    return API_OK;
}

static enum api_error_kind set_echo(struct prompt *p, const char *text, size_t length, struct api_error *e) {
    p->echo = malloc(length + 1);
    if (!p->echo) return out_of_memory(e);
    if (length) memcpy(p->echo, text, length);
    p->echo[length] = '\0';
    p->echo_length = length;
    return API_OK;
}

/* What the ids leave uncertain at their end, part of a character say, comes with what is generated: the echo
 * is without it. text: that of the prompt as it was sent; NULL: the echo is what the ids say. */
static enum api_error_kind read_echo(struct prompt *p, const char *text, size_t length, struct api_error *e) {
    const struct completion *c = p->completion;
    struct error cause;
    char *said;
    size_t said_length, certain;
    if (engine_no_tokenizer(c->engine)) return set_echo(p, "", 0, e);
    if (engine_decode(c->engine, p->ids, p->count, c->params.skip_special_tokens, &said, &said_length,
                      &certain, &cause) != STATUS_OK)
        return engine_failure(p, e, &cause);
    size_t rest = said_length - certain;
    enum api_error_kind kind;
    if (!text)
        kind = set_echo(p, said, certain, e);
    else if (rest <= length && memcmp(text + length - rest, said + certain, rest) == 0)
        kind = set_echo(p, text, length - rest, e);
    else
        kind = set_echo(p, text, length, e);
    free(said);
    if (kind == API_OK) p->echo_characters = json_text_characters(p->echo, p->echo_length);
    return kind;
}

/* ---- truncate_prompt_tokens ---------------------------------------------------------------------------- */

/* Ids that the prompt keeps; all of them when it is not to be cut. -1: as many as leave room for max_tokens,
 * or for one token where max_tokens alone would fill the context. */
static size_t most_ids(const struct api_params *params, size_t count, const struct api_limits *limits) {
    int64_t most = params->truncate_prompt_tokens;
    if (most > 0) return (uint64_t)most < count ? (size_t)most : count;
    if (most == 0) return count;
    bool fits = (uint64_t)params->max_tokens < limits->context;
    size_t room = limits->context - (fits ? (size_t)params->max_tokens : 1);
    return room < count ? room : count;
}

/* Keeps the ids first .. first + most of a prompt, behind `before` of its first and before `after` of its
 * last. */
static void cut(struct prompt *p, size_t most, size_t before, size_t after, bool keeps_start) {
    size_t kept = most > before + after ? most - before - after : 0;
    size_t inner = p->count - before - after;
    const int32_t *from = p->ids + before + (keeps_start ? 0 : inner - kept);
    memmove(p->ids + before, from, kept * sizeof *p->ids);
    memmove(p->ids + before + kept, p->ids + p->count - after, after * sizeof *p->ids);
    p->count = before + kept + after;
}

void prompt_truncate(struct prompt *p, const struct api_limits *limits) {
    const struct api_params *params = &p->completion->params;
    size_t most = most_ids(params, p->count, limits);
    if (most < p->count) cut(p, most, 0, 0, params->keeps_start);
}

/* A text keeps what its tokenizer adds at its start and end: *before and *after are how many of its ids that
 * is. */
static enum api_error_kind count_added(const struct prompt *p, const char *text, size_t length,
                                       size_t *before, size_t *after, struct api_error *e) {
    const struct completion *c = p->completion;
    struct error cause;
    int32_t *plain;
    size_t count;
    if (engine_encode(c->engine, text, length, false, 0, &plain, &count, &cause) != STATUS_OK)
        return engine_failure(p, e, &cause);
    size_t added = p->count > count ? p->count - count : 0;
    *before = 0;
    while (*before < added && memcmp(p->ids + *before, plain, count * sizeof *plain) != 0) ++*before;
    *after = added - *before;
    free(plain);
    return API_OK;
}

static enum api_error_kind truncate_text(struct prompt *p, const char *text, size_t length,
                                         const struct api_limits *limits, bool *was_cut,
                                         struct api_error *e) {
    const struct api_params *params = &p->completion->params;
    size_t before = 0, after = 0, most = most_ids(params, p->count, limits);
    *was_cut = most < p->count;
    if (!*was_cut) return API_OK;
    if (params->add_special_tokens && count_added(p, text, length, &before, &after, e) != API_OK)
        return e->kind;
    if (before + after >= most)
        return api_error_set(
            e, API_INVALID, "truncate_prompt_tokens",
            "'truncate_prompt_tokens' leaves %zu tokens, of which %zu are what the tokenizer adds.", most,
            before + after);
    cut(p, most, before, after, params->keeps_start);
    return API_OK;
}

/* ---- the forms ----------------------------------------------------------------------------------------- */

/* Ids of a prompt that is going to be cut, before that. */
static size_t most_before_cut(const struct api_limits *limits) {
    return limits->tokenize_ids_max > limits->context ? limits->tokenize_ids_max : limits->context;
}

enum api_error_kind prompt_encode(struct prompt *p, const char *text, size_t length, bool special,
                                  const struct api_limits *limits, struct api_error *e) {
    const struct completion *c = p->completion;
    struct error cause;
    size_t most = prompt_ids_max(c, limits);
    if (prompt_check_bytes(p, length, limits, e) != API_OK) return e->kind;
    enum status status = engine_encode(c->engine, text, length, special, most, &p->ids, &p->count, &cause);
    return status == STATUS_OK ? API_OK : prompt_encode_failure(p, limits, &cause, most, e);
}

static enum api_error_kind read_text(struct prompt *p, const json_t *value, const struct api_limits *limits,
                                     struct api_error *e) {
    const struct completion *c = p->completion;
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);
    bool was_cut;
    if (c->endpoint == API_EMBEDDINGS && !length) return refuse_empty(p, e);
    if (prompt_encode(p, text, length, c->params.add_special_tokens, limits, e) != API_OK ||
        truncate_text(p, text, length, limits, &was_cut, e) != API_OK)
        return e->kind;
    if (prompt_check_count(p, limits, e) != API_OK) return e->kind;
    if (c->params.echo && read_echo(p, was_cut ? NULL : text, length, e) != API_OK) return e->kind;
    return p->count ? API_OK : prompt_start_empty(p, e);
}

static enum api_error_kind read_ids(struct prompt *p, const json_t *value, const struct api_limits *limits,
                                    struct api_error *e) {
    const struct completion *c = p->completion;
    size_t count = json_array_size(value), most = most_ids(&c->params, count, limits);
    if (most > limits->context) return too_long(p, e, limits->context, "", most);
    if (api_params_token_ids(value, p->field, most_before_cut(limits), limits->vocabulary, &p->ids, &p->count,
                             e) != API_OK)
        return e->kind;
    prompt_truncate(p, limits);
    if (c->params.echo && read_echo(p, NULL, 0, e) != API_OK) return e->kind;
    return count ? API_OK : prompt_start_empty(p, e);
}

static enum api_error_kind too_many(const struct completion *c, const char *field, size_t count,
                                    const struct api_limits *limits, struct api_error *e) {
    if (!c->shape->generates)
        return api_error_set(e, API_INVALID, field,
                             "'%s' makes %zu requests; at most %zu are allowed (--max-choices).", field,
                             count, limits->choices_max);
    return api_error_set(e, API_INVALID, field,
                         "%zu prompts with %zu choices each are too many; at most %zu choices are allowed.",
                         count, (size_t)c->params.best_of, limits->choices_max);
}

enum api_error_kind prompt_allocate(struct completion *c, const char *field, size_t count,
                                    const struct api_limits *limits, struct api_error *e) {
    size_t choices = (size_t)c->params.best_of;
    if (count > limits->choices_max / choices) return too_many(c, field, count, limits, e);
    c->prompts = calloc(count, sizeof *c->prompts);
    if (!c->prompts) return out_of_memory(e);
    c->prompt_count = count;
    for (size_t i = 0; i < count; i++) {
        c->prompts[i].completion = c;
        c->prompts[i].field = field;
        c->prompts[i].index = i;
        c->prompts[i].choices = calloc(choices, sizeof *c->prompts[i].choices);
        if (!c->prompts[i].choices) return out_of_memory(e);
    }
    return completion_reserve(c, e);
}

static enum api_error_kind read_element(struct prompt *p, const json_t *value,
                                        const struct api_limits *limits, struct api_error *e) {
    const char *field = p->field;
    if (json_is_string(value)) return read_text(p, value, limits, e);
    if (json_is_array(value) && json_array_size(value)) return read_ids(p, value, limits, e);
    if (json_is_array(value))
        return api_error_set(e, API_INVALID, field, "'%s': element %zu is an empty array.", field, p->index);
    return prompt_wrong_type(field, p->index, value, e);
}

enum api_error_kind prompt_wrong_type(const char *field, size_t index, const json_t *value,
                                      struct api_error *e) {
    return api_error_set(
        e, API_INVALID, field,
        "'%s' must be a string, an array of token ids, or an array of such; element %zu is %s.", field, index,
        json_body_type_name(value));
}

enum api_error_kind prompt_check_type(const char *field, const json_t *value, struct api_error *e) {
    if (!value) return api_error_set(e, API_INVALID, field, "'%s' is missing.", field);
    if (json_is_string(value) || json_is_array(value)) return API_OK;
    return api_error_set(e, API_INVALID, field, "'%s' must be a string or an array, not %s.", field,
                         json_body_type_name(value));
}

bool prompt_is_one(const json_t *value) {
    return json_is_string(value) || !json_array_size(value) || json_is_number(json_array_get(value, 0));
}

enum api_error_kind prompt_read(struct completion *c, const json_t *value, const struct api_limits *limits,
                                struct api_error *e) {
    if (prompt_check_type(prompt_field(c), value, e) != API_OK) return e->kind;
    bool is_one = prompt_is_one(value);
    if (prompt_allocate(c, prompt_field(c), is_one ? 1 : json_array_size(value), limits, e) != API_OK)
        return e->kind;
    if (json_is_string(value)) return read_text(&c->prompts[0], value, limits, e);
    if (is_one) return read_ids(&c->prompts[0], value, limits, e);
    for (size_t i = 0; i < c->prompt_count; i++)
        if (read_element(&c->prompts[i], json_array_get(value, i), limits, e) != API_OK) return e->kind;
    return API_OK;
}
