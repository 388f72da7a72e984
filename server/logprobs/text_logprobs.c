#include "server/logprobs/text_logprobs.h"

#include <string.h>

#include "server/json/write.h"

static void write_top_entry(struct bytes *out, const char *text, size_t length, float logprob) {
    json_write_separator(out);
    json_write_string(out, text, length);
    bytes_text(out, ":");
    json_write_logprob(out, logprob);
}

/* The alternatives and the actual token, each text once. */
static void write_top(struct bytes *out, const struct token_names *names, size_t count,
                      const struct engine_event *event, const char *token, size_t token_length) {
    char buffer[TOKEN_NAME_SIZE];
    size_t length;
    bytes_text(out, "{");
    for (size_t i = 0; i < count; i++) {
        if (token_name_is_among(names, event, i, event->top[i].id)) continue;
        const char *text = token_name(names, event->top[i].id, buffer, &length);
        write_top_entry(out, text, length, event->top[i].logprob);
    }
    if (!token_name_is_among(names, event, count, event->id))
        write_top_entry(out, token, token_length, event->logprob);
    bytes_text(out, "}");
}

void text_logprobs_write(struct logprob_buffers to, const struct token_names *names, int64_t alternatives,
                         const struct engine_event *event, size_t offset) {
    char buffer[TOKEN_NAME_SIZE];
    size_t length;
    const char *name = token_name(names, event->id, buffer, &length);
    json_write_separator(to.tokens);
    json_write_separator(to.token_logprobs);
    json_write_separator(to.top_logprobs);
    json_write_separator(to.text_offsets);
    json_write_string(to.tokens, name, length);
    if (event->has_logprob) {
        json_write_logprob(to.token_logprobs, event->logprob);
        write_top(to.top_logprobs, names, token_name_alternatives(event, alternatives), event, name, length);
    } else {
        bytes_text(to.token_logprobs, "null");
        bytes_text(to.top_logprobs, "null");
    }
    bytes_integer(to.text_offsets, (int64_t)offset);
}

/* Where the text of a token starts. Where the text that comes with it ends with its own, U+FFFD may stand
 * before it, for bytes that were held back until it was certain that they are no character. */
static size_t find_start(const struct engine_event *event, const char *token, size_t length,
                         size_t characters, size_t expected) {
    if (!length || event->text_length < length ||
        memcmp(event->text + event->text_length - length, token, length) != 0)
        return expected;
    size_t offset = characters + json_text_characters(event->text, event->text_length - length);
    return offset > expected ? offset : expected;
}

void text_logprobs_add(struct logprob_buffers to, const struct token_names *names, int64_t alternatives,
                       const struct engine_event *event, size_t characters, size_t *offset) {
    size_t length;
    const char *token = engine_token_text(names->engine, event->id, &length);
    bool is_text = token_name_is_text(token, length);
    size_t start = is_text ? find_start(event, token, length, characters, *offset) : *offset;
    text_logprobs_write(to, names, alternatives, event, start);
    *offset = start + (is_text ? json_text_characters(token, length) : 0);
}

size_t text_logprobs_next_offset(size_t offset, size_t characters, size_t longest_stop) {
    size_t most = characters + longest_stop;
    if (offset < characters) return characters;
    return offset < most ? offset : most;
}
