/* What of a tokenizer is for this folder and its tests alone. */
#pragma once

#include <jansson.h>

#include "engine/text/decode/decoder.h"
#include "engine/text/tokenizer.h"

/* A tokenizer from a parsed tokenizer.json; name stands for the file in messages. The file is not needed
 * afterwards. */
enum status tokenizer_create(const json_t *file, const char *name, struct tokenizer **out, struct error *e);

/* What it puts before a text that is encoded with what it adds. */
const struct token_list *tokenizer_ids_before(const struct tokenizer *t);

const struct decoder *tokenizer_decoder(const struct tokenizer *t);
/* What an id puts into the decoder, borrowed; NULL: nothing (no such token, or a special one that is left
 * out). */
const char *tokenizer_decoded_content(const struct tokenizer *t, int32_t id, bool skip_special,
                                      size_t *length);
