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

/* Bytes that a token has in a text. */
static size_t bytes_in_text(const struct token_names *names, int32_t id, char *out, bool *is_text) {
    size_t length;
    const char *token = engine_token_text(names->engine, id, &length);
    size_t count = token_name_bytes(token, length, out, is_text);
    return names->skips_special && engine_token_is_special(names->engine, id) ? 0 : count;
}

void text_logprobs_add(struct logprob_buffers to, const struct token_names *names, int64_t alternatives,
                       const struct engine_event *event, size_t characters, struct text_place *place) {
    char bytes[TOKEN_TEXT_BYTES_MAX];
    bool is_text;
    size_t count = bytes_in_text(names, event->id, bytes, &is_text),
           start = text_place_pass(place, bytes, count);
    if (is_text) {
        size_t found = find_start(event, bytes, count, characters, start);
        place->offset += found - start;
        if (count > 0) place->of_bytes = 0;
        start = found;
    } else {
        place->of_bytes += place->offset - start;
    }
    text_logprobs_write(to, names, alternatives, event, start);
}

void text_logprobs_begin(struct text_place *place, const struct token_names *names, const int32_t *prompt,
                         size_t count, size_t characters) {
    char bytes[TOKEN_TEXT_BYTES_MAX];
    bool is_text;
    *place = (struct text_place){0};
    for (size_t i = count > sizeof place->held ? count - sizeof place->held : 0; i < count; i++)
        text_place_pass(place, bytes, bytes_in_text(names, prompt[i], bytes, &is_text));
    place->offset = characters;
}

void text_logprobs_settle(struct text_place *place, size_t characters, size_t longest_stop) {
    text_place_limit(place, characters, characters + longest_stop + place->of_bytes);
}
