/* What decoding needs of a tokenizer, for tokenizer.c and detokenizer.c alone. */
#pragma once

#include "engine/text/decoder.h"
#include "engine/text/tokenizer.h"

const struct decoder *tokenizer_decoder(const struct tokenizer *t);
/* What an id puts into the decoder, borrowed; NULL: nothing (no such token, or a special one that is left
 * out). */
const char *tokenizer_decoded_content(const struct tokenizer *t, int32_t id, bool skip_special,
                                      size_t *length);
