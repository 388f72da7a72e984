/* Chats of the door: the model's template, its text, and the ids of that. Any thread, once opened. */
#include "engine/api/state.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/log.h"

/* Memory of a rendering beside what a chat's own size asks for, and for each byte of that. */
#define CHAT_MEMORY_MIN      ((size_t)4 << 20)
#define CHAT_MEMORY_PER_BYTE ((size_t)64)

/* What the transformers library puts behind the last message, to find where that ends in the text. */
static const char continue_tag[] = "CONTINUE_FINAL_MESSAGE_TAG ";

/* ---- opening ------------------------------------------------------------------------------------------- */

enum status engine_open_chat(struct engine *engine, const struct engine_options *o, struct error *e) {
    const struct loaded_chat_options options = {
        .model = o->model, .file = o->chat_template, .has_tokenizer = engine->tokenizer != NULL};
    const struct error *why = &engine->chat.why;
    engine->chat_control_tokens = o->chat_control_tokens;
    enum status status = loaded_chat_init(&engine->chat, &engine->model, &options, e);
    if (status != STATUS_OK) return status;
    if (engine->chat.template)
        log_info("chat template: %s", engine->chat.name);
    else if (why->code != STATUS_NOT_FOUND)
        log_warn("no chats: %s%s%s; completions are served all the same", why->where,
                 why->where[0] ? ": " : "", why->text);
    return STATUS_OK;
}

void engine_close_chat(struct engine *engine) {
    loaded_chat_deinit(&engine->chat);
}

const char *engine_no_chat_template(const struct engine *engine) {
    return engine->chat.template ? NULL : engine->chat.why.text;
}

/* ---- what is asked for --------------------------------------------------------------------------------- */

static enum status refuse(struct error *e, const char *where, const char *text) {
    return error_set(e, STATUS_INVALID_ARGUMENT, where, "%s", text);
}

/* Names that the library's own call has, so that no variable can be given by them. */
static enum status check_kwargs(const json_t *kwargs, struct error *e) {
    static const char *const taken[] = {"messages",
                                        "conversation",
                                        "tools",
                                        "documents",
                                        "chat_template",
                                        "add_generation_prompt",
                                        "continue_final_message",
                                        "tokenize",
                                        "padding",
                                        "truncation",
                                        "max_length",
                                        "return_tensors",
                                        "return_dict",
                                        "return_assistant_tokens_mask",
                                        "tokenizer_kwargs"};
    if (!kwargs) return STATUS_OK;
    if (!json_is_object(kwargs)) return refuse(e, "chat_template_kwargs", "expected an object");
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (json_object_get(kwargs, taken[i]))
            return error_set(e, STATUS_INVALID_ARGUMENT, "chat_template_kwargs",
                             "'%s' is no variable of a template that can be given here", taken[i]);
    return STATUS_OK;
}

static enum status check_chat(const struct engine_chat *chat, struct error *e) {
    if (!json_is_array(chat->messages)) return refuse(e, "messages", "expected an array of messages");
    for (size_t i = 0; i < json_array_size(chat->messages); i++)
        if (!json_is_object(json_array_get(chat->messages, i)))
            return error_set(e, STATUS_INVALID_ARGUMENT, "messages", "message %zu is no object", i);
    if (chat->continue_final_message && chat->add_generation_prompt)
        return refuse(
            e, "continue_final_message",
            "and add_generation_prompt exclude each other: a message is continued, or a new one begun");
    if (chat->continue_final_message && json_array_size(chat->messages) == 0)
        return refuse(e, "continue_final_message", "there is no message that could be continued");
    return check_kwargs(chat->kwargs, e);
}

/* ---- continue_final_message ---------------------------------------------------------------------------- */

/* The text with the tag behind it; NULL: no memory. */
static json_t *with_tag(const json_t *text) {
    size_t length = json_string_length(text), tag = strlen(continue_tag);
    char *joined = malloc(length + sizeof continue_tag);
    if (!joined) return NULL;
    memcpy(joined, json_string_value(text), length);
    memcpy(joined + length, continue_tag, sizeof continue_tag);
    json_t *out = json_stringn(joined, length + tag);
    free(joined);
    return out;
}

/* Puts the tag behind the text of a message of ours: a string, or the last part that has one. *final: that text,
 * borrowed from the client's message. */
static enum status add_tag(json_t *message, const json_t *original, const json_t **final, struct error *e) {
    const json_t *content = json_object_get(original, "content");
    json_t *owner = message;
    const char *key = "content";
    *final = content;
    for (size_t i = json_array_size(content); i-- > 0;) {
        const json_t *text = json_object_get(json_array_get(content, i), "text");
        if (!text) continue;
        owner = json_array_get(json_object_get(message, "content"), i);
        key = "text";
        *final = text;
        break;
    }
    if (!json_is_string(*final))
        return refuse(e, "continue_final_message", "the last message has no text that could be continued");
    if (json_object_set_new(owner, key, with_tag(*final)) == 0) return STATUS_OK;
    return error_set(e, STATUS_NO_MEMORY, "messages", "no memory for the last one");
}

/* *out: the messages, the last of them with the tag. */
static enum status tag_messages(const json_t *messages, json_t **out, const json_t **final, struct error *e) {
    size_t last = json_array_size(messages) - 1;
    const json_t *original = json_array_get(messages, last);
    json_t *message = json_deep_copy(original);
    *out = json_copy((json_t *)(uintptr_t)messages);
    enum status status = message && *out ? add_tag(message, original, final, e)
                                         : error_set(e, STATUS_NO_MEMORY, "messages", "no memory for a copy");
    if (status == STATUS_OK && json_array_set(*out, last, message) != 0)
        status = error_set(e, STATUS_NO_MEMORY, "messages", "no memory for a copy");
    json_decref(message);
    return status;
}

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1C && c <= 0x1F);
}

/* Whether the text has what is left of the message without blanks around it. */
static bool has_message(const struct template_text *t, const json_t *final) {
    const char *text = json_string_value(final);
    size_t start = 0, end = json_string_length(final);
    while (start < end && is_blank(text[start])) start++;
    while (end > start && is_blank(text[end - 1])) end--;
    return start == end || memmem(t->text, t->length, text + start, end - start);
}

static size_t find_last(const struct template_text *t, const char *needle, size_t length) {
    for (size_t at = t->length + 1; at-- > length;)
        if (memcmp(t->text + at - length, needle, length) == 0) return at - length;
    return SIZE_MAX;
}

static void cut(struct template_text *t, size_t length) {
    t->length = length;
    t->text[length] = '\0';
    while (t->client_count > 0 && t->client[t->client_count - 1].start >= length) t->client_count--;
    if (t->client_count > 0 && t->client[t->client_count - 1].end > length)
        t->client[t->client_count - 1].end = length;
}

/* Ends the text where the message does: before the tag, and before blanks where the template has trimmed those. */
static enum status cut_at_tag(struct template_text *t, const json_t *final, struct error *e) {
    size_t whole = strlen(continue_tag), bare = whole - 1, at = find_last(t, continue_tag, bare);
    if (at == SIZE_MAX || !has_message(t, final))
        return refuse(e, "continue_final_message",
                      "the last message does not appear in the text that the chat template writes");
    bool kept = t->length - at >= whole && memcmp(t->text + at, continue_tag, whole) == 0;
    while (!kept && at > 0 && is_blank(t->text[at - 1])) at--;
    cut(t, at);
    return STATUS_OK;
}

/* ---- the text ------------------------------------------------------------------------------------------ */

static size_t memory_of(size_t json_bytes) {
    size_t asked;
    if (json_bytes == 0 || __builtin_mul_overflow(json_bytes, CHAT_MEMORY_PER_BYTE, &asked) ||
        asked > TEMPLATE_MEMORY_MAX - CHAT_MEMORY_MIN)
        return TEMPLATE_MEMORY_MAX;
    return CHAT_MEMORY_MIN + asked;
}

size_t engine_chat_bytes(size_t json_bytes) {
    return 2 * memory_of(json_bytes) + sizeof(struct engine_chat_text);
}

static enum status make_client(const struct engine_chat *chat, const json_t *messages, json_t **out,
                               struct error *e) {
    *out = chat->kwargs ? json_copy((json_t *)(uintptr_t)chat->kwargs) : json_object();
    if (*out && json_object_set(*out, "messages", (json_t *)(uintptr_t)messages) == 0 &&
        json_object_set_new(*out, "add_generation_prompt", json_boolean(chat->add_generation_prompt)) == 0)
        return STATUS_OK;
    return error_set(e, STATUS_NO_MEMORY, "messages", "no memory for them");
}

static enum status render(const struct engine *engine, const struct engine_chat *chat, const json_t *messages,
                          struct template_text *out, struct error *e) {
    json_t *client = NULL;
    enum status status = make_client(chat, messages, &client, e);
    const struct template_input input = {
        .model = engine->chat.variables, .client = client, .memory_max = memory_of(chat->json_bytes)};
    if (status == STATUS_OK) status = template_render(engine->chat.template, &input, out, e);
    json_decref(client);
    return status;
}

static enum status continue_message(const struct engine *engine, const struct engine_chat *chat,
                                    struct template_text *out, struct error *e) {
    json_t *messages = NULL;
    const json_t *final = NULL;
    enum status status = tag_messages(chat->messages, &messages, &final, e);
    if (status == STATUS_OK) status = render(engine, chat, messages, out, e);
    if (status == STATUS_OK) status = cut_at_tag(out, final, e);
    json_decref(messages);
    return status;
}

enum status engine_apply_chat_template(const struct engine *engine, const struct engine_chat *chat,
                                       struct engine_chat_text *out, struct error *e) {
    struct template_text text = {0};
    *out = (struct engine_chat_text){0};
    if (!engine->chat.template)
        return error_set(e, STATUS_UNSUPPORTED, "chat template", "%s", engine_no_chat_template(engine));
    enum status status = check_chat(chat, e);
    if (status == STATUS_OK)
        status = chat->continue_final_message ? continue_message(engine, chat, &text, e)
                                              : render(engine, chat, chat->messages, &text, e);
    if (status != STATUS_OK) {
        template_text_deinit(&text);
        return status;
    }
    *out = (struct engine_chat_text){
        .text = text.text, .length = text.length, .client = text.client, .client_count = text.client_count};
    return STATUS_OK;
}

void engine_chat_text_deinit(struct engine_chat_text *t) {
    free(t->text);
    free(t->client);
    *t = (struct engine_chat_text){0};
}
