/* One of the texts that generate makes of a prompt: what has come of it, and how it is told. Main thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "engine/api/engine.h"
#include "server/json/bytes.h"
#include "server/logprobs/text_place.h"

struct choice {
    struct bytes text;
    size_t shown;             /* bytes of it that standard output has */
    struct engine_event last; /* FINISHED; its text is gone */
    bool is_finished;
    /* With --logprobs: the elements of the lists that the API has, and lines for people. */
    struct bytes tokens, token_logprobs, top_logprobs, text_offsets, table;
    size_t characters;       /* of the text */
    struct text_place place; /* behind the last token */
};

/* Empty again; keeps its storage. */
void choice_clear(struct choice *c);
void choice_deinit(struct choice *c);

/* Adds a TOKEN or FINISHED event. STATUS_NO_MEMORY: then it is without it. */
enum status choice_add(struct choice *c, const struct engine *engine, const struct config *config,
                       const struct engine_event *event, struct error *e);

/* As an element of "choices" in the answer of POST /v1/completions. */
void choice_write_json(struct bytes *out, const struct choice *c, const struct config *config);

/* On stderr, its tokens with their log probabilities; nothing without --logprobs. */
void choice_print_table(const struct choice *c);
