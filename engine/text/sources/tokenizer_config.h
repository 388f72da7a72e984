/* What the files beside a tokenizer.json say of it. The transformers library reads tokenizer.json and then changes
 * it by tokenizer_config.json, special_tokens_map.json and added_tokens.json, by rules that differ from class to
 * class; the result is what a model was trained with. This makes the same changes (those of transformers 4.57, fast
 * tokenizers) to the parsed file, so that nothing behind it knows of them. */
#pragma once

#include "engine/text/sources/side_files.h"
#include "engine/text/sources/tokenizer_class.h"

/* Changes file (a parsed tokenizer.json) by the other files. What the library itself refuses, and what we do not do
 * (split_special_tokens), is refused by name. Not followed, since they are not a matter of ids: what shortens or pads a
 * text, and clean_up_tokenization_spaces. */
enum status tokenizer_config_apply(json_t *file, const struct side_files *side, struct error *e);

/* Whether the library would read a tokenizer.model although there is a tokenizer.json. */
bool tokenizer_config_wants_model(const struct side_files *side);
