#include "server/logprobs/token_name.h"

#include <stdio.h>
#include <string.h>

#define BYTES_PREFIX        "bytes:"
#define BYTES_PREFIX_LENGTH (sizeof BYTES_PREFIX - 1)

const char *token_name(const struct token_names *names, int32_t id, char buffer[TOKEN_NAME_SIZE],
                       size_t *length) {
    if (!names->as_ids) return engine_token_text(names->engine, id, length);
    *length = (size_t)snprintf(buffer, TOKEN_NAME_SIZE, "token_id:%d", (int)id);
    return buffer;
}

static bool have_same_name(const struct token_names *names, int32_t a, int32_t b) {
    size_t a_length, b_length;
    if (a == b || names->as_ids) return a == b;
    const char *a_text = engine_token_text(names->engine, a, &a_length);
    const char *b_text = engine_token_text(names->engine, b, &b_length);
    return a_length == b_length && memcmp(a_text, b_text, a_length) == 0;
}

bool token_name_is_among(const struct token_names *names, const struct engine_event *event, size_t count,
                         int32_t id) {
    size_t i = 0;
    while (i < count && !have_same_name(names, event->top[i].id, id)) i++;
    return i < count;
}

size_t token_name_alternatives(const struct engine_event *event, int64_t wanted) {
    size_t most = wanted > 0 ? (size_t)wanted : 0;
    return event->top_count < most ? event->top_count : most;
}

bool token_name_is_text(const char *text, size_t length) {
    return length < BYTES_PREFIX_LENGTH || memcmp(text, BYTES_PREFIX, BYTES_PREFIX_LENGTH) != 0;
}

size_t token_name_bytes(const char *text, size_t length, char *out, bool *is_text) {
    *is_text = token_name_is_text(text, length);
    if (*is_text) {
        memcpy(out, text, length);
        return length;
    }
    size_t count = 0;
    unsigned byte;
    for (size_t at = BYTES_PREFIX_LENGTH; at + 4 <= length && sscanf(text + at, "\\x%2x", &byte) == 1;
         at += 4)
        out[count++] = (char)byte;
    return count;
}
