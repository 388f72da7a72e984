/* tokenizer.model (SentencePiece) without a tokenizer.json. It is read into a tokenizer.json whose normalizer, model
 * and decoder are of a type "SentencePiece", which is ours: they do what the sentencepiece library does, to the last
 * bit of a score, where the library's conversion of transformers to its own parts comes only near. Special tokens
 * are those of the files beside it, as for a tokenizer.json (tokenizer_config.h); control pieces are special tokens
 * that are found in a text, as they are after the conversion. */
#pragma once

#include <jansson.h>

#include "engine/text/sources/side_files.h"

#define SENTENCE_PIECE_NAME "tokenizer.model"

/* *out is the caller's. */
enum status sentence_piece_source_load(const char *folder, const struct side_files *side, size_t bytes_max,
                                       json_t **out, struct error *e);

/* The same from the bytes of a tokenizer.model. */
enum status sentence_piece_source_parse(const char *bytes, size_t length, const struct side_files *side,
                                        json_t **out, struct error *e);
