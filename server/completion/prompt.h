/* The field `prompt` of a completion. Any thread that may wait: encoding is long. */
#pragma once

#include "server/completion/completion.h"

/* All forms of it: a string, an array of ids, or an array that mixes both. Fills c->prompts; uses c->params. */
enum api_error_kind prompt_read(struct completion *c, const json_t *value, const struct api_limits *limits,
                                struct api_error *e);
