/* The shape of POST /v1/chat/completions: a message, or what is new of it. */
#include "server/completion/answer_shape.h"

#include "engine/types/limits.h"
#include "server/json/write.h"
#include "server/logprobs/token_name.h"

/* Up to the brace that ends it. Bytes are those of the token, also where they are no text by themselves. */
static void write_token(struct bytes *out, const struct completion *c, int32_t id, float logprob) {
    const struct token_names names = answer_shape_token_names(c);
    char buffer[TOKEN_NAME_SIZE], bytes[TOKEN_TEXT_BYTES_MAX];
    size_t length, text_length;
    bool is_text;
    const char *name = token_name(&names, id, buffer, &length),
               *text = engine_token_text(c->engine, id, &text_length);
    bytes_text(out, "{\"token\":");
    json_write_string(out, name, length);
    bytes_text(out, ",\"logprob\":");
    json_write_logprob(out, logprob);
    bytes_text(out, ",\"bytes\":[");
    size_t count = token_name_bytes(text, text_length, bytes, &is_text);
    for (size_t i = 0; i < count; i++) {
        if (i) bytes_text(out, ",");
        bytes_integer(out, (unsigned char)bytes[i]);
    }
    bytes_text(out, "]");
}

static void add_logprob(struct prompt *p, struct choice *choice, const struct engine_event *event) {
    const struct completion *c = p->completion;
    struct bytes *out = &choice->tokens;
    size_t count = token_name_alternatives(event, c->params.logprobs);
    json_write_separator(out);
    write_token(out, c, event->id, event->logprob);
    bytes_text(out, ",\"top_logprobs\":[");
    for (size_t i = 0; i < count; i++) {
        if (i) bytes_text(out, ",");
        write_token(out, c, event->top[i].id, event->top[i].logprob);
        bytes_text(out, "}");
    }
    bytes_text(out, "]}");
}

/* There is one prompt, so what is said of it stands beside the choices. */
static void write_members(struct bytes *out, const struct prompt *p, const struct choice *choice) {
    const struct api_params *params = &p->completion->params;
    if (choice->written) return;
    if (params->return_token_ids) {
        answer_shape_write_prompt_ids(out, p);
        bytes_text(out, ",");
    }
    if (params->prompt_logprobs >= 0) {
        answer_shape_write_prompt_logprobs(out, p);
        bytes_text(out, ",");
    }
}

/* The role is said once, at the beginning; the last part of a stream may have nothing new. */
static void write_message(struct bytes *out, struct choice *choice, bool is_part) {
    if (is_part && choice->written && !choice->text.length) return;
    if (!choice->written) bytes_text(out, "\"role\":\"assistant\",");
    bytes_text(out, "\"content\":");
    json_write_string(out, choice->text.data, choice->text.length);
    bytes_clear(&choice->text);
    if (!is_part) bytes_text(out, ",\"refusal\":null");
}

static void write_choice(struct bytes *out, struct prompt *p, struct choice *choice) {
    const struct api_params *params = &p->completion->params;
    bytes_text(out, params->stream ? ",\"delta\":{" : ",\"message\":{");
    write_message(out, choice, params->stream);
    bytes_text(out, "},\"logprobs\":");
    if (params->logprobs < 0 || (params->stream && !choice->tokens.length)) {
        bytes_text(out, "null");
        return;
    }
    bytes_text(out, "{");
    answer_shape_write_array(out, "content", NULL, &choice->tokens);
    bytes_text(out, ",\"refusal\":null}");
}

const struct answer_shape answer_shape_chat = {
    .id_prefix = "chatcmpl-",
    .object = "chat.completion",
    .chunk_object = "chat.completion.chunk",
    .list = "choices",
    .generates = true,
    .add_logprob = add_logprob,
    .write_members = write_members,
    .write_choice = write_choice,
};
