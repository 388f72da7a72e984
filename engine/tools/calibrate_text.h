/* The text that convert calibrates with, as ids; private to engine/tools. */
#pragma once

#include "engine/loaded/loaded_model.h"
#include "engine/tools/tools.h"

/* Ids of the text by the folder's tokenizer, before anything large is loaded. STATUS_OPTION ("calibrate"): the model
 * has no tokenizer, or the text is too short. On success the caller frees tokens->ids. */
enum status calibrate_text_read(const struct convert_options *o, struct token_list *tokens, struct error *e);

/* Rounds the packed weights of a model that was loaded from the folder again; ids are moved. */
enum status calibrate_text_apply(const struct convert_options *o, struct loaded_model *m,
                                 struct token_list *tokens, struct workers *workers, struct error *e);
