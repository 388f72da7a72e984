/* Appending to a struct token_list (tokenizer.h). */
#pragma once

#include "engine/text/tokenizer.h"

/* false when there is no memory. */
bool token_list_add(struct token_list *list, int32_t id);
