/* A model of SentencePiece without a tokenizer.json: tokenizer.model, or what else the class calls it. It is read into a
 * tokenizer.json whose normalizer, model and decoder are of a type "SentencePiece", which is ours: they do what the
 * sentencepiece library does, to the last bit of a score, where the library's conversion of transformers to its own
 * parts comes only near. Special tokens are those of the files beside it, as for a tokenizer.json
 * (tokenizer_config.h); control pieces are special tokens that are found in a text, as they are after the conversion. */
#pragma once

#include <jansson.h>

#include "engine/text/sources/side_files.h"

/* The name (static) of the model in the folder that the class reads, else tokenizer.model; NULL: there is none. */
const char *sentence_piece_source_find(const char *folder, const struct side_files *side);

/* Any model in the folder, of whatever name, so that loading it says why it is not read; NULL: there is none. */
const char *sentence_piece_source_find_any(const char *folder);

/* *out is the caller's. STATUS_UNSUPPORTED where the class that the files name reads no file of that name. */
enum status sentence_piece_source_load(const char *folder, const char *name, const struct side_files *side,
                                       size_t bytes_max, json_t **out, struct error *e);

/* The same from the bytes of the file. */
enum status sentence_piece_source_parse(const char *name, const char *bytes, size_t length,
                                        const struct side_files *side, json_t **out, struct error *e);
