/* The field `bad_words` of a completion. Any thread. */
#pragma once

#include "server/completion/completion.h"

/* c->params.bad_words in ids: c->bans. */
enum api_error_kind bad_words_read(struct completion *c, struct api_error *e);
