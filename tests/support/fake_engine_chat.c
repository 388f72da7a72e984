/* Chats: a template that writes "<role>content\n" for each message, and "<assistant>" where an answer is to begin. */
#include "tests/support/fake_engine_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *engine_no_chat_template(const struct engine *engine) {
    return engine->no_chat ? "it was told so" : NULL;
}

size_t engine_chat_bytes(size_t length) {
    return 8 * length + 4096;
}

void engine_chat_text_deinit(struct engine_chat_text *t) {
    free(t->text);
    free(t->client);
    *t = (struct engine_chat_text){0};
}

static void append(struct engine_chat_text *t, const char *text, size_t length, bool is_client) {
    t->text = realloc(t->text, t->length + length + 1);
    t->client = realloc(t->client, (t->client_count + 1) * sizeof *t->client);
    assert(t->text && t->client);
    memcpy(t->text + t->length, text, length);
    if (is_client && length)
        t->client[t->client_count++] = (struct text_range){t->length, t->length + length};
    t->length += length;
    t->text[t->length] = '\0';
}

static void append_field(struct engine_chat_text *t, const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    append(t, json_is_string(value) ? json_string_value(value) : "", json_string_length(value), true);
}

static enum status append_message(struct engine_chat_text *t, const json_t *message, bool is_open,
                                  struct error *e) {
    if (strcmp(json_string_value(json_object_get(message, "role")), "raise") == 0)
        return error_set(e, STATUS_INVALID_ARGUMENT, "raise_exception", "%s",
                         json_string_value(json_object_get(message, "content")));
    append(t, "<", 1, false);
    append_field(t, message, "role");
    append(t, ">", 1, false);
    append_field(t, message, "content");
    if (!is_open) append(t, "\n", 1, false);
    return STATUS_OK;
}

enum status engine_apply_chat_template(const struct engine *engine, const struct engine_chat *chat,
                                       struct engine_chat_text *out, struct error *e) {
    size_t count = json_array_size(chat->messages);
    enum status status = STATUS_OK;
    *out = (struct engine_chat_text){0};
    if (engine->no_chat) return error_set(e, STATUS_UNSUPPORTED, "chat template", "it was told so");
    if (json_object_get(chat->kwargs, "messages"))
        return error_set(e, STATUS_INVALID_ARGUMENT, "chat_template_kwargs", "it must not have messages");
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        status = append_message(out, json_array_get(chat->messages, i),
                                chat->continue_final_message && i + 1 == count, e);
    append_field(out, chat->kwargs, "tail");
    if (chat->add_generation_prompt) append(out, "<assistant>", 11, false);
    if (status != STATUS_OK) engine_chat_text_deinit(out);
    return status;
}

static bool is_client(const struct engine_chat_text *text, size_t at) {
    for (size_t i = 0; i < text->client_count; i++)
        if (at >= text->client[i].start && at < text->client[i].end) return true;
    return false;
}

enum status engine_encode_chat(const struct engine *engine, const struct engine_chat_text *text,
                               size_t tokens_max, int32_t **ids, size_t *count, struct error *e) {
    (void)engine;
    if (tokens_max && text->length > tokens_max)
        return error_set(e, STATUS_LIMIT, "tokens", "the text has more than %zu tokens", tokens_max);
    *ids = malloc((text->length + 1) * sizeof **ids);
    for (size_t i = 0; i < text->length; i++) {
        char byte = text->text[i];
        bool is_control = (byte == '<' || byte == '>') && !is_client(text, i);
        (*ids)[i] = !is_control ? (unsigned char)byte : byte == '<' ? FAKE_CHAT_OPEN : FAKE_CHAT_CLOSE;
    }
    *count = text->length;
    return STATUS_OK;
}
