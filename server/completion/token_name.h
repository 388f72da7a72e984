/* How tokens are shown in log probabilities. */
#pragma once

#include "server/completion/completion.h"

/* Of "token_id:" and a number. */
enum { TOKEN_NAME_SIZE = 24 };

/* Its text, or "token_id:7" in the caller's buffer where the request wants that. */
const char *token_name(const struct completion *c, int32_t id, char buffer[TOKEN_NAME_SIZE], size_t *length);

/* Bytes that a token has in a text: what engine_token_text says, or what "bytes:\xe2\x80" there stands for; *is_text
 * tells which. out has room for TOKEN_TEXT_BYTES_MAX. */
size_t token_name_bytes(const char *text, size_t length, char *out, bool *is_text);

/* Whether one of the first alternatives of an event has the token's name: best first, so that one is the larger. */
bool token_name_is_among(const struct completion *c, const struct engine_event *event, size_t count,
                         int32_t id);

/* Of the alternatives of an event those that were asked for; -1: none. */
size_t token_name_alternatives(const struct engine_event *event, int64_t wanted);
