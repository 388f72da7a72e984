/* The text of every token alone, as `logprobs` shows it, made once when the model is loaded: an answer with
 * alternatives names hundreds of tokens, and none of them costs a decoder. Immutable after token_texts_init:
 * any thread may read. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/workers.h"
#include "engine/text/tokenizer.h"
#include "engine/types/limits.h"

/* Texts lie one behind the other, each with a NUL: text i ends before ends[i]. */
struct token_texts {
    char *bytes;  /* owned */
    size_t *ends; /* [count]; owned */
    size_t count;
};

/* For all ids of the tokenizer. */
enum status token_texts_init(struct token_texts *texts, const struct tokenizer *tokenizer,
                             struct workers *workers, struct error *e);
void token_texts_deinit(struct token_texts *texts);

/* Memory that they hold. */
size_t token_texts_bytes(const struct token_texts *texts);

/* Valid UTF-8, NUL-terminated, borrowed; "" for an id without a token. The text is that behind the token
 * itself: there it keeps the blank before it that decoders strip at the start of a text. Bytes that are no
 * text by themselves are written "bytes:\xe2\x80". length may be NULL. */
const char *token_texts_get(const struct token_texts *texts, int32_t id, size_t *length);
