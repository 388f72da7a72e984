/* Which files of a folder its tokenizer is made from: tokenizer.json with what the files beside it say, else
 * a model of SentencePiece, else vocab.json and merges.txt. Whatever they are, the result is one parsed
 * tokenizer.json, so that there is one way to build a tokenizer, and one text to keep in a converted file. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "engine/base/error.h"

/* *out is the caller's; *name (static) stands for the files in messages. STATUS_NOT_FOUND when the folder has none of
 * them. */
enum status tokenizer_source_load(const char *folder, json_t **out, const char **name, struct error *e);

/* Whether there is a tokenizer.json. */
bool tokenizer_source_has_file(const char *folder);
