/* `logprobs` as the completions have it: four lists of equal length, as JSON. A list is one thread's. */
#pragma once

#include "server/json/bytes.h"
#include "server/logprobs/token_name.h"

/* The elements of the four lists. */
struct logprob_buffers {
    struct bytes *tokens, *token_logprobs, *top_logprobs, *text_offsets;
};

/* Writes one token, whose text starts at this offset, with so many alternatives. */
void text_logprobs_write(struct logprob_buffers to, const struct token_names *names, int64_t alternatives,
                         const struct engine_event *event, size_t offset);

/* One generated token. characters: of the text before what comes with it. *offset: where its own text starts, as far as
 * is known before; then where it ends. */
void text_logprobs_add(struct logprob_buffers to, const struct token_names *names, int64_t alternatives,
                       const struct engine_event *event, size_t characters, size_t *offset);

/* Where the next token's text starts: `offset` as text_logprobs_add left it, and characters of the text with what came
 * with the token. Without stop strings nothing but incomplete characters is held back, so it is where the text ends;
 * with them it may lie up to the longest one's bytes further. */
size_t text_logprobs_next_offset(size_t offset, size_t characters, size_t longest_stop);
