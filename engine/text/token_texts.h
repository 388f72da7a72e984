/* The text of every token alone, as `logprobs` shows it, made once when the model is loaded: an answer with
 * alternatives names hundreds of tokens, and none of them costs a decoder. Immutable after token_texts_init:
 * any thread may read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/workers.h"
#include "engine/text/tokenizer.h"
#include "engine/types/limits.h"

/* What the text of an id is. */
enum token_text_kind {
    TOKEN_TEXT_WHOLE, /* the bytes that the token adds in the midst of a text */
    TOKEN_TEXT_BYTES, /* those bytes written out, since they are no text by themselves */
    TOKEN_TEXT_NAME, /* a name for it alone: that of a token that adds nothing, a part of a long text, or none */
};

/* Texts lie one behind the other, each with a NUL: text i ends before ends[i]. */
struct token_texts {
    char *bytes;          /* owned */
    size_t *ends;         /* [count]; owned */
    unsigned char *kinds; /* [count], enum token_text_kind; owned */
    size_t count;
};

/* For all ids of the tokenizer. STATUS_UNSUPPORTED: its decoder fails at one of them. */
enum status token_texts_init(struct token_texts *texts, const struct tokenizer *tokenizer,
                             struct workers *workers, struct error *e);
void token_texts_deinit(struct token_texts *texts);

/* Memory that they hold. */
size_t token_texts_bytes(const struct token_texts *texts);

/* Bytes of the longest. */
size_t token_texts_longest(const struct token_texts *texts);

/* Valid UTF-8, NUL-terminated, borrowed; "" for an id without a token. The text is that behind the token
 * itself: there it keeps the blank before it that decoders strip at the start of a text. Bytes that are no
 * text by themselves are written "bytes:\xe2\x80". length may be NULL. */
const char *token_texts_get(const struct token_texts *texts, int32_t id, size_t *length);

/* The bytes that a token adds in the midst of a text, whole characters or not, into out; returns how many: 0 for one
 * whose kind is NAME. tokenizer: that of token_texts_init. */
size_t token_texts_raw(const struct token_texts *texts, const struct tokenizer *tokenizer, int32_t id,
                       unsigned char out[TOKEN_TEXT_BYTES_MAX]);

/* Whether the text of tokens is that of each alone, one behind the other, but for blanks at the very start of a text:
 * not so where a decoder joins words or cleans up. */
bool token_texts_follow_each_other(const struct tokenizer *tokenizer);
