/* Log probabilities of continuations: the prompts of POST /score and their part of its answer (answer_shape_score). */
#pragma once

#include "server/completion/completion.h"

/* Fields `prompt` and `continuation`: as many pairs as the longer of them has elements. Fills c->prompts, with the ids of
 * both and where what is scored begins. Any thread that may wait: encoding is long. */
enum api_error_kind score_read(struct completion *c, const json_t *body, const struct api_limits *limits,
                               struct api_error *e);
