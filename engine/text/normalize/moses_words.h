/* English text as the words of Moses' tokenizer, as sacremoses 0.2.0 has it: tokenize(aggressive_dash_splits=True,
 * escape=True). It is "normalizer" of type "Moses" in what engine/text/sources/vocab_merges.h makes of BioGPT's files. */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "engine/text/containers/text_buffer.h"

/* Appends the words of a text, one blank between two of them; XML's special characters, brackets and bars are entities. */
enum status moses_words_append(const char *text, size_t length, struct text_buffer *out, struct error *e);
