/* "normalizer" of tokenizer.json: rewrites the text between added tokens before it is cut into words.
 * Immutable once read. Understood: NFC, NFD, NFKC, NFKD, BertNormalizer, Lowercase, StripAccents, Replace,
 * Prepend, Strip, Precompiled, Sequence; and SentencePiece and Moses, which are ours (sentence_piece_form.h,
 * moses_words.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/regex/regex.h"
#include "engine/text/containers/text_buffer.h"

struct normalizer_step;

struct normalizer {
    struct normalizer_step *steps;
    size_t count, capacity;
};

/* place: "normalizer", whose value may be NULL (the text stays as it is). deinit also after an error. */
enum status normalizer_init(struct normalizer *n, const struct json_path *path, struct error *e);
void normalizer_deinit(struct normalizer *n);

/* How many bytes of a text become one byte of its normal form, at most: a text of n bytes has a normal form
 * of n / shrink_max or more. 0: that has no bound, since a step may drop any part of a text. */
size_t normalizer_shrink_max(const struct normalizer *n);

/* Replaces *text by its normal form. *starts_there (in and out): whether the text's first byte is where the
 * whole text begins; a step that takes something away there makes it false. INVALID_ARGUMENT: a step makes the text
 * some 32 times as long as it was. */
enum status normalizer_run(const struct normalizer *n, struct regex_run *run, struct text_buffer *text,
                           bool *starts_there, struct error *e);
