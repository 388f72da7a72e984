/* The conversation of a chat as a prompt. Any thread that may wait: rendering and encoding are long. */
#pragma once

#include "server/completion/completion.h"

/* c->chat, by the model's template, and the prompt that it will be. Uses c->params. */
enum api_error_kind chat_prompt_render(struct completion *c, const json_t *body, size_t body_bytes,
                                       const struct api_limits *limits, struct api_error *e);

/* Its ids. Waits for memory, so the body must have given its own back. c->chat is gone afterwards. */
enum api_error_kind chat_prompt_encode(struct completion *c, const struct api_limits *limits,
                                       struct api_error *e);
