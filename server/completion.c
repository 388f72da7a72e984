#include "server/completion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "server/json_body.h"

struct completion *completion_create(struct engine *engine, const char *model, const char *fingerprint,
                                     void *owner) {
    struct completion *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    unsigned char random[16] = {0};
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        free(c);
        return NULL;
    }
    int length = snprintf(c->id, sizeof c->id, "cmpl-");
    for (size_t i = 0; i < sizeof random; i++) length += snprintf(c->id + length, 3, "%02x", random[i]);
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
}

void completion_drop_texts(struct prompt *p) {
    for (int64_t i = 0; p->choices && i < p->completion->params.best_of; i++) choice_deinit(&p->choices[i]);
    bytes_deinit(&p->tokens);
    bytes_deinit(&p->token_logprobs);
    bytes_deinit(&p->top_logprobs);
    bytes_deinit(&p->text_offsets);
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

void completion_destroy(struct completion *c) {
    if (!c) return;
    completion_release(c);
    engine_ticket_destroy(c->ticket);
    for (size_t i = 0; i < c->prompt_count; i++) prompt_deinit(&c->prompts[i]);
    free(c->prompts);
    bytes_deinit(&c->head);
    api_params_deinit(&c->params);
    free(c);
}

enum api_error_kind completion_prepare(struct completion *c, const char *body, size_t length,
                                       const struct api_limits *limits, struct api_error *e) {
    json_t *root;
    if (json_body_parse(body, length, &root, e) != API_OK) return e->kind;
    enum api_error_kind kind = api_params_read(&c->params, root, limits, e);
    if (kind == API_OK) kind = api_prompt_read(c, json_body_field(root, "prompt"), limits, e);
    json_decref(root);
    if (kind == API_OK) kind = completion_build(c, e);
    if (kind == API_OK) return kind;
    engine_ticket_destroy(c->ticket);
    c->ticket = NULL;
    return kind;
}

/* ---- freeing ------------------------------------------------------------------------------------------- */

/* Freeing less than this takes less than handing it over. */
enum { LIGHT_BYTES = 1 << 18 };

static size_t choice_weight(const struct choice *choice) {
    return choice->text.length + choice->tokens.length + choice->token_logprobs.length +
           choice->top_logprobs.length + choice->text_offsets.length + choice->token_ids.length;
}

static size_t prompt_weight(const struct prompt *p, size_t choices) {
    size_t weight = p->count * sizeof *p->ids + p->echo_length + p->tokens.length + p->token_logprobs.length +
                    p->top_logprobs.length + p->text_offsets.length;
    for (size_t i = 0; p->choices && i < choices; i++) weight += choice_weight(&p->choices[i]);
    return weight;
}

size_t completion_weight(const struct completion *c) {
    size_t weight = 0;
    for (size_t i = 0; i < c->prompt_count; i++)
        weight += prompt_weight(&c->prompts[i], (size_t)c->params.best_of);
    return weight;
}

/* A completion on its last way. */
struct disposal {
    struct work work;
    struct completion *completion;
};

static void run_disposal(void *context) {
    struct disposal *d = context;
    completion_destroy(d->completion);
}

void completion_dispose(struct completion *c, struct work_lanes *lanes) {
    completion_release(c);
    struct disposal *d = c->ticket || completion_weight(c) >= LIGHT_BYTES ? calloc(1, sizeof *d) : NULL;
    if (d) {
        *d = (struct disposal){.work = {.run = run_disposal, .done = free, .context = d}, .completion = c};
        if (work_start(lanes, &d->work, false)) return;
        free(d);
    }
    completion_destroy(c);
}
