/* The tokenizer of a model folder: tokenizer.json as the files beside it change it, or a model of SentencePiece, or
 * vocab.json with merges.txt (engine/text/sources). Immutable after opening, so any thread may encode and decode. What
 * is not understood is refused by name when opening, never approximated. Encoding uses no recursion on its input and
 * near linear time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/text/containers/token_list.h"
#include "engine/types/text_range.h"

struct tokenizer;

/* STATUS_NOT_FOUND when the folder has none; STATUS_UNSUPPORTED when it is of a kind that is not read. */
enum status tokenizer_open(const char *folder, struct tokenizer **out, struct error *e);

/* Whether a folder that tokenizer_open answered with this status has no tokenizer that is read: none at all, or one of
 * a kind that is not read. Its model can be given ids all the same. A tokenizer.json is there to be read: if it cannot
 * be, that is a fault of the folder. */
bool tokenizer_is_missing(const char *folder, enum status status);

/* The text of the tokenizer.json that says what all of a folder's tokenizer files say; malloc'ed. Errors are those
 * of tokenizer_open. */
enum status tokenizer_read_text(const char *folder, char **text, size_t *length, struct error *e);

/* From such a text; name stands for its place in messages. */
enum status tokenizer_open_text(const char *text, size_t length, const char *name, struct tokenizer **out,
                                struct error *e);
void tokenizer_close(struct tokenizer *t);

/* Appends the ids of text (UTF-8, length bytes, NULs are text); *out is as it was after an error. special:
 * add what the post-processor adds (BOS ...). STATUS_INVALID_ARGUMENT: not UTF-8, something that the
 * vocabulary lacks where it has no unknown token, or a normal form with far more characters than the text has
 * bytes. STATUS_LIMIT: more than tokens_max ids (0: no limit; e->where is "tokens" for this one), a text of more
 * than TEXT_BYTES_MAX, or a regular expression of the tokenizer that takes too long on this text. */
enum status tokenizer_encode(const struct tokenizer *t, const char *text, size_t length, bool special,
                             size_t tokens_max, struct token_list *out, struct error *e);

/* The same, where no control token is found in the guarded parts of the text (engine/text/guard.h), nor where they take
 * part in it: neither an added token, nor by the model's own vocabulary what is an added token. Without any of them the
 * ids are those of tokenizer_encode. guarded: ascending, apart, and of whole
 * characters. */
enum status tokenizer_encode_guarded(const struct tokenizer *t, const char *text, size_t length, bool special,
                                     const struct text_range *guarded, size_t guarded_count,
                                     size_t tokens_max, struct token_list *out, struct error *e);

/* Bytes of text that one id stands for, at most: a text of n bytes has n / that ids or more. 0: there is no
 * bound, since blanks, marks or what the vocabulary lacks may be dropped in any number. */
size_t tokenizer_bytes_per_token_max(const struct tokenizer *t);

/* Memory that encoding takes for each byte of the text, at most; measured on the tokenizers of tests/golden
 * with texts of one repeated character, of words and of signs (75 at most: a unigram model without blanks). */
#define TOKENIZER_MEMORY_PER_BYTE 96

/* The whole text of ids, as the tokenizers library decodes it; invalid UTF-8 becomes U+FFFD. *out is
 * malloc'ed and NUL-terminated. An id without a token is skipped. */
enum status tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t count, bool skip_special,
                             char **out, size_t *length, struct error *e);

/* The same; *certain (may be NULL): how many bytes at the front are the text of these ids. The rest is U+FFFD for a
 * character that is not whole, whose text a detokenizer that has seen these ids says with what follows. */
enum status tokenizer_decode_certain(const struct tokenizer *t, const int32_t *ids, size_t count,
                                     bool skip_special, char **out, size_t *length, size_t *certain,
                                     struct error *e);

/* One more than the highest id: rows of the model's head from here on are padding and are never sampled. */
size_t tokenizer_vocabulary(const struct tokenizer *t);

/* Whether an id below that has a token at all (ids may have gaps). */
bool tokenizer_has(const struct tokenizer *t, int32_t id);
bool tokenizer_is_special(const struct tokenizer *t, int32_t id);

/* Whether it is one of the tokens that were added to the model's own vocabulary. */
bool tokenizer_is_added(const struct tokenizer *t, int32_t id);

/* Whether it is a control token (engine/text/guard.h). */
bool tokenizer_is_control(const struct tokenizer *t, int32_t id);

/* Id of a token's exact content (as in the vocabulary or the added tokens); -1 if none. */
int32_t tokenizer_find(const struct tokenizer *t, const char *content);

/* The vocabulary entry of an id ("Ġthe"), borrowed; NULL if none. */
const char *tokenizer_content(const struct tokenizer *t, int32_t id);
