/* Options of generate about tokens and texts of them: logit-bias, stop-token-ids, allowed-token-ids, stop, bad-words. */
#pragma once

#include "config/config.h"
#include "engine/api/engine.h"

struct token_options {
    int32_t *stop, *allowed;
    size_t stop_count, allowed_count;
    struct engine_bias *biases; /* in the order of ids, each once */
    size_t bias_count;
    struct engine_string *stops; /* texts are the configuration's */
    size_t stop_string_count;
    struct engine_ban *bans;
    size_t ban_count;
};

/* STATUS_OPTION names the option: its value is no id, no "ID=BIAS", or an id is there twice. token_options_deinit is
 * needed either way. */
enum status token_options_init(struct token_options *t, const struct config *config, struct error *e);
/* Adds what takes a tokenizer: STATUS_OPTION where the model has no such id, or no token of a bad word. */
enum status token_options_encode(struct token_options *t, const struct config *config,
                                 const struct engine *engine, struct error *e);
void token_options_deinit(struct token_options *t);
