#include "server/completion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "server/json_body.h"

struct completion *completion_create(const struct engine *engine, const char *model, const char *fingerprint,
                                     void *owner) {
    struct completion *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    unsigned char random[16] = {0};
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        free(c);
        return NULL;
    }
    size_t length = (size_t)snprintf(c->id, sizeof c->id, "cmpl-");
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
}

static void prompt_deinit(struct prompt *p) {
    for (int64_t i = 0; p->choices && i < p->completion->params.best_of; i++) choice_deinit(&p->choices[i]);
    free(p->choices);
    free(p->ids);
    free(p->echo);
    bytes_deinit(&p->tokens);
    bytes_deinit(&p->token_logprobs);
    bytes_deinit(&p->top_logprobs);
    bytes_deinit(&p->text_offsets);
    bytes_deinit(&p->prompt_logprobs);
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
    for (size_t i = 0; i < c->prompt_count; i++) prompt_deinit(&c->prompts[i]);
    free(c->prompts);
    for (size_t i = 0; i < c->ban_count; i++) free((void *)c->bans[i].ids);
    free(c->bans);
    bytes_deinit(&c->head);
    api_params_deinit(&c->params);
    free(c);
}

enum api_error_kind completion_prepare(struct completion *c, const char *body, size_t length,
                                       const struct api_limits *limits, struct api_error *e) {
    json_t *root;
    if (json_body_parse(body, length, &root, e) != API_OK) return e->kind;
    enum api_error_kind kind = api_params_read(&c->params, root, limits, e);
    if (kind == API_OK && c->params.request_id[0])
        snprintf(c->id, sizeof c->id, "cmpl-%s", c->params.request_id);
    if (kind == API_OK) kind = api_bad_words_read(c, e);
    if (kind == API_OK) kind = api_prompt_read(c, json_body_field(root, "prompt"), limits, e);
    json_decref(root);
    return kind;
}
