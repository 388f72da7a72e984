/* Prompts with a gap: POST /infill, and `suffix` of a completion. Any thread that may wait: encoding is long. */
#pragma once

#include "server/completion/completion.h"

/* input_prefix, input_suffix, input_extra, suffix_first and prompt of /infill. Fills c->prompts; the tokens that end a middle become stop tokens. */
enum api_error_kind infill_read(struct completion *c, const json_t *body, const struct api_limits *limits,
                                struct api_error *e);

/* The same of each prompt, which must be a text, and one suffix that is not empty. */
enum api_error_kind infill_read_suffix(struct completion *c, const json_t *prompt, const json_t *suffix,
                                       const struct api_limits *limits, struct api_error *e);
