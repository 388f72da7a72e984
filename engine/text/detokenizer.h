/* Incremental decoding for one generated sequence: ids in, text out, never half a UTF-8 sequence. What is
 * appended over a run is what tokenizer_decode gives for prompt and ids together, behind what it gives for
 * the prompt alone: less U+FFFD at its end, for a character whose first bytes are the prompt's comes with its
 * last. (Decoders may change the prompt's own end by what follows, a run of bytes that turns out to be no
 * text: then it is said again.) Each id costs the same whatever came before. Text may be held back for more
 * than one id: bytes of a character, a run of "<0x..>" tokens (which is text as a whole or not at all), what the
 * decoder may yet strip from the end. */
#pragma once

#include <stdbool.h>

#include "engine/text/tokenizer.h"

struct detokenizer;

/* prompt: the ids before the first generated one (context that decoders with word joins or byte runs need);
 * borrowed for the call only. skip_special: special tokens add no text. */
enum status detokenizer_create(const struct tokenizer *t, const int32_t *prompt, size_t prompt_count,
                               bool skip_special, struct detokenizer **out, struct error *e);
/* One that has seen what `other` has: for the continuations of one prompt, which is then decoded once. */
enum status detokenizer_copy(const struct detokenizer *other, struct detokenizer **out, struct error *e);
void detokenizer_destroy(struct detokenizer *d);

/* Adds one id. *text (borrowed until the next call) is what can be said now: valid UTF-8, perhaps empty. */
enum status detokenizer_push(struct detokenizer *d, int32_t id, const char **text, size_t *length,
                             struct error *e);

/* At the end of a sequence: what was held back, incomplete UTF-8 replaced by U+FFFD. */
enum status detokenizer_finish(struct detokenizer *d, const char **text, size_t *length, struct error *e);
