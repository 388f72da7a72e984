/* How tokens are shown in log probabilities. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/api/engine.h"

/* Of "token_id:" and a number. */
enum { TOKEN_NAME_SIZE = 24 };

/* By which names. */
struct token_names {
    const struct engine *engine;
    bool as_ids;        /* "token_id:7", in place of texts */
    bool skips_special; /* the text is without special tokens */
};

/* Its text, or its id in the caller's buffer. */
const char *token_name(const struct token_names *names, int32_t id, char buffer[TOKEN_NAME_SIZE],
                       size_t *length);

/* Whether engine_token_text has said a text; else it is "bytes:\xe2\x80", of a token that is none by itself. */
bool token_name_is_text(const char *text, size_t length);

/* Bytes that a token has in a text: what engine_token_text says, or what "bytes:\xe2\x80" there stands for; *is_text
 * tells which. out has room for TOKEN_TEXT_BYTES_MAX. */
size_t token_name_bytes(const char *text, size_t length, char *out, bool *is_text);

/* Whether one of the first alternatives of an event has the token's name: best first, so that one is the larger. */
bool token_name_is_among(const struct token_names *names, const struct engine_event *event, size_t count,
                         int32_t id);

/* Of the alternatives of an event those that were asked for; -1: none. */
size_t token_name_alternatives(const struct engine_event *event, int64_t wanted);
