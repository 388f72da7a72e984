/* `logprobs` as the completions have it: four lists of equal length, as JSON. A list is one thread's. */
#pragma once

#include "server/json/bytes.h"
#include "server/logprobs/text_place.h"
#include "server/logprobs/token_name.h"

/* The elements of the four lists. */
struct logprob_buffers {
    struct bytes *tokens, *token_logprobs, *top_logprobs, *text_offsets;
};

/* Writes one token, whose text starts at this offset, with so many alternatives. */
void text_logprobs_write(struct logprob_buffers to, const struct token_names *names, int64_t alternatives,
                         const struct engine_event *event, size_t offset);

/* Where a text begins: behind so many characters that were echoed. What the last tokens of the prompt have of a character that
 * is not whole comes with the first that is generated. */
void text_logprobs_begin(struct text_place *place, const struct token_names *names, const int32_t *prompt,
                         size_t count, size_t characters);

/* One generated token. characters: of the text before what comes with it. place: behind the token before. */
void text_logprobs_add(struct logprob_buffers to, const struct token_names *names, int64_t alternatives,
                       const struct engine_event *event, size_t characters, struct text_place *place);

/* Behind each token, with the characters of the text and of what came with it. Without stop strings nothing but characters of
 * bytes is held back, so the next token's text starts where the text ends; with them it may start up to the longest one's bytes
 * further. */
void text_logprobs_settle(struct text_place *place, size_t characters, size_t longest_stop);
