#include "server/completion/text_logprobs.h"

#include <string.h>

#include "server/completion/token_name.h"
#include "server/json/write.h"

static void write_top_entry(struct bytes *out, const char *text, size_t length, float logprob) {
    json_write_separator(out);
    json_write_string(out, text, length);
    bytes_text(out, ":");
    json_write_logprob(out, logprob);
}

/* The alternatives and the actual token, each text once. */
static void write_top(struct bytes *out, const struct completion *c, const struct engine_event *event,
                      const char *token, size_t token_length) {
    char buffer[TOKEN_NAME_SIZE];
    size_t length, count = token_name_alternatives(event, c->params.logprobs);
    bytes_text(out, "{");
    for (size_t i = 0; i < count; i++) {
        if (token_name_is_among(c, event, i, event->top[i].id)) continue;
        const char *text = token_name(c, event->top[i].id, buffer, &length);
        write_top_entry(out, text, length, event->top[i].logprob);
    }
    if (!token_name_is_among(c, event, count, event->id))
        write_top_entry(out, token, token_length, event->logprob);
    bytes_text(out, "}");
}

void text_logprobs_write(struct logprob_buffers to, const struct completion *c,
                         const struct engine_event *event, size_t offset) {
    char buffer[TOKEN_NAME_SIZE];
    size_t length;
    const char *name = token_name(c, event->id, buffer, &length);
    json_write_separator(to.tokens);
    json_write_separator(to.token_logprobs);
    json_write_separator(to.top_logprobs);
    json_write_separator(to.text_offsets);
    json_write_string(to.tokens, name, length);
    if (event->has_logprob) {
        json_write_logprob(to.token_logprobs, event->logprob);
        write_top(to.top_logprobs, c, event, name, length);
    } else {
        bytes_text(to.token_logprobs, "null");
        bytes_text(to.top_logprobs, "null");
    }
    bytes_integer(to.text_offsets, (int64_t)offset);
}

/* Where the text of a token starts. Where the text that comes with it ends with its own, U+FFFD may stand
 * before it, for bytes that were held back until it was certain that they are no character. */
static size_t offset_of(const struct choice *choice, const struct engine_event *event, const char *token,
                        size_t length) {
    if (!length || event->text_length < length ||
        memcmp(event->text + event->text_length - length, token, length) != 0)
        return choice->next_offset;
    size_t before = json_text_characters(event->text, event->text_length - length);
    size_t offset = choice->characters + before;
    return offset > choice->next_offset ? offset : choice->next_offset;
}

void text_logprobs_add(struct prompt *p, struct choice *choice, const struct engine_event *event) {
    const struct completion *c = p->completion;
    const struct logprob_buffers to = {&choice->tokens, &choice->token_logprobs, &choice->top_logprobs,
                                       &choice->text_offsets};
    size_t length;
    const char *token = engine_token_text(c->engine, event->id, &length);
    bool is_text = length < 6 || memcmp(token, "bytes:", 6) != 0;
    size_t offset = is_text ? offset_of(choice, event, token, length) : choice->next_offset;
    text_logprobs_write(to, c, event, offset);
    choice->next_offset = offset + (is_text ? json_text_characters(token, length) : 0);
}
