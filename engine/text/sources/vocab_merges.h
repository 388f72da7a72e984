/* vocab.json and merges.txt without a tokenizer.json, as GPT-2 and its kin were published (OPT still is).
 * They are read into the tokenizer.json that says the same, so that there is one way to build a tokenizer. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/text/sources/side_files.h"

/* *out: the equal of a tokenizer.json; the caller owns it. STATUS_NOT_FOUND when the folder has no tokenizer at all.
 * CTRL's files have the same names, and BioGPT's; their tokenizers' parts are of types "CTRL" and "Moses", which are
 * ours (engine/text/token_model/ctrl.h, normalize/moses_words.h, decode/decoder_run_moses.c). */
enum status vocab_merges_load(const char *folder, const struct side_files *side, size_t bytes_max,
                              json_t **out, struct error *e);
