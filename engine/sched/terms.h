/* What the prompts of one HTTP request have in common and no choice changes: lists of the sampling, stop
 * strings, ids that end a sequence. Made once by whoever prepares the request, immutable from then on, and
 * counted: each engine_request that follows the same lists holds it. Any thread. */
#pragma once

#include <stdatomic.h>

#include "engine/types/request.h"
#include "engine/sched/rules.h"
#include "engine/text/decode/stop_set.h"

struct terms {
    atomic_uint references;
    struct engine_sampling sampling; /* its lists are owned */
    struct stop_set *stops;          /* NULL: none */
    int32_t
        *enders; /* ids that end it: those of the model (unless ignored), then the request's stop tokens */
    size_t ender_count;  /* of both */
    size_t model_enders; /* the first so many */
    int32_t *prediction; /* owned: what the answer may be */
    size_t prediction_count;
    struct grammar *grammar; /* what it must be, a reference; NULL: any text */
};

/* Checks everything of the prompt but its ids and their number, and copies its lists. STATUS_INVALID_ARGUMENT
 * with the field in e->where, also when the lists leave no token that could be sampled; STATUS_NO_MEMORY. */
enum status terms_create(const struct request_rules *rules, const struct engine_prompt *prompt,
                         struct terms **out, struct error *e);
/* Memory that terms_create takes for this prompt, at most. */
size_t terms_bytes(const struct request_rules *rules, const struct engine_prompt *prompt);
struct terms *terms_retain(struct terms *terms);
void terms_release(struct terms *terms);

/* Whether two prompts say the same in all that terms_create looks at; lists are the same when they lie at the
 * same place. */
bool terms_are_shared(const struct engine_prompt *a, const struct engine_prompt *b);
