#include "server/completion/completion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "server/api/api_memory.h"
#include "server/api/fields.h"
#include "server/api/json_body.h"
#include "server/api/structured.h"
#include "server/completion/answer_shape.h"
#include "server/completion/chat_prompt.h"
#include "server/completion/infill.h"
#include "server/completion/prediction.h"
#include "server/completion/embedding.h"
#include "server/completion/prompt.h"
#include "server/completion/score.h"
#include "server/completion/structured.h"

struct completion *completion_create(struct engine *engine, enum api_endpoint endpoint, const char *model,
                                     const char *fingerprint, void *owner) {
    struct completion *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    unsigned char random[16] = {0};
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        free(c);
        return NULL;
    }
    c->endpoint = endpoint;
    c->shape = answer_shape_of(endpoint);
    size_t length = (size_t)snprintf(c->id, sizeof c->id, "%s", c->shape->id_prefix);
    for (size_t i = 0; i < sizeof random; i++)
        length += (size_t)snprintf(c->id + length, sizeof c->id - length, "%02x", random[i]);
    c->created = time(NULL);
    c->engine = engine;
    c->model = model;
    c->fingerprint = fingerprint;
    c->owner = owner;
    return c;
}

static void choice_deinit(struct choice *choice) {
    bytes_deinit(&choice->text);
    bytes_deinit(&choice->tokens);
    bytes_deinit(&choice->token_logprobs);
    bytes_deinit(&choice->top_logprobs);
    bytes_deinit(&choice->text_offsets);
    bytes_deinit(&choice->token_ids);
    bytes_deinit(&choice->embedding);
}

static size_t take_charge(size_t *charged) {
    size_t bytes = *charged;
    *charged = 0;
    return bytes;
}

void completion_drop_texts(struct prompt *p) {
    struct completion *c = p->completion;
    size_t charged = take_charge(&p->charged);
    for (int64_t i = 0; p->choices && i < c->params.best_of; i++) {
        charged += take_charge(&p->choices[i].charged);
        choice_deinit(&p->choices[i]);
    }
    bytes_deinit(&p->tokens);
    bytes_deinit(&p->token_logprobs);
    bytes_deinit(&p->top_logprobs);
    bytes_deinit(&p->text_offsets);
    bytes_deinit(&p->prompt_logprobs);
    c->taken -= charged;
    if (c->budget) budget_give(c->budget, charged);
}

static void prompt_deinit(struct prompt *p) {
    completion_drop_texts(p);
    free(p->choices);
    free(p->ids);
    free(p->echo);
}

void completion_release(struct completion *c) {
    for (size_t i = 0; i < c->prompt_count; i++) {
        if (c->prompts[i].handle) engine_request_release(c->prompts[i].handle);
        c->prompts[i].handle = NULL;
    }
}

/* All that was made for the prompts, and what was taken for them. */
static void drop_prompts(struct completion *c) {
    engine_ticket_destroy(c->ticket);
    c->ticket = NULL;
    for (size_t i = 0; i < c->prompt_count; i++) prompt_deinit(&c->prompts[i]);
    free(c->prompts);
    c->prompts = NULL, c->prompt_count = 0;
    engine_bans_destroy(c->bans, c->ban_count);
    api_chat_deinit(&c->chat);
    c->bans = NULL, c->ban_count = 0;
    free(c->prediction);
    c->prediction = NULL, c->prediction_count = 0;
    engine_grammar_release(c->grammar);
    c->grammar = NULL;
    if (c->budget) budget_give(c->budget, c->taken);
    c->taken = 0;
}

void completion_destroy(struct completion *c) {
    if (!c) return;
    completion_release(c);
    drop_prompts(c);
    bytes_deinit(&c->head);
    api_params_deinit(&c->params);
    free(c);
}

/* What is held until the completion is destroyed. */
static enum api_error_kind take_memory(struct completion *c, struct budget *budget, struct api_error *e) {
    size_t bytes;
    if (!completion_admitted_bytes(c, &bytes))
        return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
    /* Embeddings are made all at once: what would not fit then is known now. */
    size_t whole = bytes + embedding_answers_bytes(c);
    if (whole > budget->max || !budget_take(budget, bytes))
        return api_memory_refuse(budget, whole, "Send fewer prompts, choices or stop strings.", e);
    c->budget = budget;
    c->taken = bytes;
    return API_OK;
}

/* A longer prompt has more tokens than the context, or than may be cut down to it, and is refused by its
 * length. (A body that spells that field with escapes gets the shorter bound.) */
static size_t text_bytes_max(const struct engine *engine, const struct api_limits *limits, const char *body,
                             size_t length) {
    static const char field[] = "\"truncate_prompt_tokens\"";
    bool may_be_cut = length && memmem(body, length, field, sizeof field - 1) != NULL;
    bool longer = may_be_cut && limits->tokenize_ids_max > limits->context;
    return engine_text_bytes_max(engine, longer ? limits->tokenize_ids_max : limits->context);
}

/* Without a tokenizer an answer has ids in place of texts, and no text can be looked for. */
static enum api_error_kind check_texts(struct completion *c, struct api_error *e) {
    const char *why = engine_no_tokenizer(c->engine);
    if (!why) return API_OK;
    c->params.return_tokens_as_token_ids = c->params.return_token_ids = true;
    if (!c->params.stop_count) return API_OK;
    return api_error_set(
        e, API_INVALID, "stop",
        "'stop' needs a tokenizer, and this model has none that is read (%s); 'stop_token_ids' "
        "can be used.",
        why);
}

static enum api_error_kind make_bans(struct completion *c, struct api_error *e) {
    const struct api_params *params = &c->params;
    struct error cause;
    enum status status = engine_bans_create(c->engine, params->bad_words, params->bad_word_count, &c->bans,
                                            &c->ban_count, &cause);
    if (status == STATUS_OK) return API_OK;
    if (status == STATUS_NO_MEMORY)
        return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
    return api_error_set(e, API_INVALID, "bad_words", "'bad_words' %s.", cause.text);
}

static enum api_error_kind read_prompts(struct completion *c, const json_t *body, size_t body_bytes,
                                        const struct api_limits *limits, struct api_error *e) {
    if (c->endpoint == API_CHAT) return chat_prompt_render(c, body, body_bytes, limits, e);
    if (c->endpoint == API_INFILL) return infill_read(c, body, limits, e);
    if (c->endpoint == API_SCORE) return score_read(c, body, limits, e);
    if (c->endpoint == API_EMBEDDINGS) return prompt_read(c, json_body_field(body, "input"), limits, e);
    const json_t *prompt = json_body_field(body, "prompt"), *suffix = json_body_field(body, "suffix");
    if (suffix && !json_is_string(suffix)) return api_field_wrong_type(e, "suffix", "a string", suffix);
    /* An empty one is what clients send that fill in nothing. */
    if (suffix && json_string_length(suffix)) return infill_read_suffix(c, prompt, suffix, limits, e);
    return prompt_read(c, prompt, limits, e);
}

/* A prompt and its continuation are one text, and so are input_prefix and prompt of /infill. */
static size_t strings_of_text(enum api_endpoint endpoint) {
    return endpoint == API_SCORE || endpoint == API_INFILL ? 2 : 1;
}

enum api_error_kind completion_prepare(struct completion *c, const char *body, size_t length,
                                       const struct api_limits *limits, struct api_error *e) {
    struct json_body json;
    c->embedding_width = limits->embedding_width;
    c->text_bytes_max = text_bytes_max(c->engine, limits, body, length);
    bool is_chat = c->endpoint == API_CHAT;
    size_t beside = is_chat ? engine_chat_bytes(length) : 0;
    const struct json_body_text text = {strings_of_text(c->endpoint), c->text_bytes_max};
    if (c->shape->generates && api_structured_check(body, length, e) != API_OK) return e->kind;
    if (json_body_open(&json, body, length, text, beside, limits->memory, e) != API_OK) return e->kind;
    enum api_error_kind kind = api_params_read(&c->params, c->endpoint, json.root, limits, e);
    if (kind == API_OK && c->params.request_id[0])
        snprintf(c->id, sizeof c->id, "%s%s", c->shape->id_prefix, c->params.request_id);
    if (kind == API_OK) kind = check_texts(c, e);
    if (kind == API_OK) kind = read_prompts(c, json.root, length, limits, e);
    if (kind == API_OK && c->shape->generates) kind = make_bans(c, e);
    if (kind == API_OK && c->shape->generates) kind = prediction_read(c, json.root, limits, e);
    if (kind == API_OK && c->shape->generates) kind = structured_read(c, &json, limits, e);
    json_body_close(&json);
    /* A conversation is encoded when it is known how long its text is. */
    if (kind == API_OK && is_chat) kind = chat_prompt_encode(c, limits, e);
    if (kind == API_OK && limits->memory) kind = take_memory(c, &limits->memory->answers, e);
    if (kind == API_OK) kind = completion_build(c, e);
    if (kind != API_OK) drop_prompts(c);
    return kind;
}

static size_t choice_weight(const struct choice *choice) {
    return choice->text.length + choice->tokens.length + choice->token_logprobs.length +
           choice->top_logprobs.length + choice->text_offsets.length + choice->token_ids.length +
           choice->embedding.length;
}

static size_t prompt_weight(const struct prompt *p, size_t choices) {
    size_t weight = p->count * sizeof *p->ids + p->echo_length + p->tokens.length + p->token_logprobs.length +
                    p->top_logprobs.length + p->text_offsets.length + p->prompt_logprobs.length;
    for (size_t i = 0; p->choices && i < choices; i++) weight += choice_weight(&p->choices[i]);
    return weight;
}

size_t completion_weight(const struct completion *c) {
    size_t weight = 0;
    for (size_t i = 0; i < c->prompt_count; i++)
        weight += prompt_weight(&c->prompts[i], (size_t)c->params.best_of);
    return weight;
}
