/* `logprobs` as the completions have it: four lists of equal length. Loop thread. */
#pragma once

#include "server/completion/completion.h"

/* The four elements of `logprobs` for one token. */
struct logprob_buffers {
    struct bytes *tokens, *token_logprobs, *top_logprobs, *text_offsets;
};

/* Writes one token, whose text starts at this offset. */
void text_logprobs_write(struct logprob_buffers to, const struct completion *c,
                         const struct engine_event *event, size_t offset);

/* One generated token of a choice. */
void text_logprobs_add(struct prompt *p, struct choice *choice, const struct engine_event *event);
