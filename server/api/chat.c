#include "server/api/chat.h"

#include <stdlib.h>
#include <string.h>

#include "server/api/api_memory.h"
#include "server/api/chat_messages.h"
#include "server/api/fields.h"
#include "server/api/json_body.h"
#include "server/json/write.h"

static const char field[] = "\"messages\"";

static bool names_messages(const char *body, size_t length) {
    return length && memmem(body, length, field, sizeof field - 1) != NULL;
}

size_t api_chat_bytes(const char *body, size_t length) {
    return names_messages(body, length) ? engine_chat_bytes(length) : 0;
}

enum api_error_kind api_chat_read_opening(struct api_params *p, const json_t *body, struct api_error *e) {
    p->add_generation_prompt = true;
    if (api_field_bool(body, "add_generation_prompt", "add_generation_prompt", &p->add_generation_prompt,
                       e) != API_OK ||
        api_field_bool(body, "continue_final_message", "continue_final_message", &p->continue_final_message,
                       e) != API_OK)
        return e->kind;
    return api_params_check_opening(p, body, e);
}

/* ---- the text ------------------------------------------------------------------------------------------ */

/* In the words of the template where it has some. */
static enum api_error_kind refuse(struct api_error *e, const struct error *cause) {
    if (cause->code == STATUS_NO_MEMORY)
        return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
    if (strcmp(cause->where, "raise_exception") == 0)
        return api_error_set(e, API_INVALID, "messages", "%s", cause->text);
    bool is_kwargs = strcmp(cause->where, "chat_template_kwargs") == 0;
    bool is_final = strcmp(cause->where, "continue_final_message") == 0;
    size_t length = strlen(cause->text);
    if (length && cause->text[length - 1] == '.') length--; /* Jinja's words have one, at times */
    return api_error_set(e, API_INVALID, is_kwargs || is_final ? cause->where : "messages",
                         "The conversation cannot be written by the model's chat template: %s: %.*s.",
                         cause->where, (int)length, cause->text);
}

/* A text may be longer than the body that it comes from, and is held while it waits for its turn. */
static enum api_error_kind take_text(struct api_chat *chat, struct serving_memory *memory,
                                     struct api_error *e) {
    size_t bytes = chat->text.length + chat->text.client_count * sizeof *chat->text.client;
    if (!memory) return API_OK;
    if (api_memory_take(&memory->answers, 0, bytes, "Send a shorter conversation.", e) != API_OK)
        return e->kind;
    chat->memory = memory;
    chat->taken = bytes;
    return API_OK;
}

/* Whether the template reads parts: it writes the text of one, and not the whole part, as it would a list that it takes
 * for a text. It may take the memory that was taken for the body, and no more. */
static bool reads_parts(const struct engine *engine, size_t body_bytes) {
    static const char word[] = "probe";
    struct engine_chat_text text;
    struct error cause;
    json_t *messages =
        json_pack("[{s:s,s:[{s:s,s:s}]}]", "role", "user", "content", "type", "text", "text", word);
    const struct engine_chat chat = {
        .messages = messages, .json_bytes = body_bytes, .add_generation_prompt = true};
    if (!messages || engine_apply_chat_template(engine, &chat, &text, &cause) != STATUS_OK) {
        json_decref(messages);
        return false;
    }
    const char *at = strstr(text.text, word);
    bool is_read = at && (at == text.text || (at[-1] != '\'' && at[-1] != '"'));
    engine_chat_text_deinit(&text);
    json_decref(messages);
    return is_read;
}

static enum api_error_kind check_kwargs(const json_t *kwargs, struct api_error *e) {
    if (!kwargs || json_is_object(kwargs)) return API_OK;
    return api_field_wrong_type(e, "chat_template_kwargs", "an object", kwargs);
}

enum api_error_kind api_chat_render(struct api_chat *chat, const struct engine *engine, const json_t *body,
                                    size_t body_bytes, const struct api_params *p,
                                    const struct api_limits *limits, struct api_error *e) {
    const char *why = engine_no_chat_template(engine);
    const json_t *kwargs = json_body_field(body, "chat_template_kwargs");
    json_t *messages = NULL;
    struct error cause;
    *chat = (struct api_chat){0};
    if (why)
        return api_error_set(e, API_INVALID, "messages",
                             "This model answers no conversations: %.600s. POST /v1/completions "
                             "goes on from a prompt; --chat-template FILE gives the server a template.",
                             why);
    bool keeps_parts = chat_messages_have_parts(body) && reads_parts(engine, body_bytes);
    if (check_kwargs(kwargs, e) != API_OK || chat_messages_read(body, keeps_parts, &messages, e) != API_OK)
        return e->kind;
    const struct engine_chat of_engine = {.messages = messages,
                                          .kwargs = kwargs,
                                          .json_bytes = body_bytes,
                                          .add_generation_prompt = p->add_generation_prompt,
                                          .continue_final_message = p->continue_final_message};
    enum status status = engine_apply_chat_template(engine, &of_engine, &chat->text, &cause);
    json_decref(messages);
    return status == STATUS_OK ? take_text(chat, limits->memory, e) : refuse(e, &cause);
}

void api_chat_deinit(struct api_chat *chat) {
    engine_chat_text_deinit(&chat->text);
    if (chat->memory) budget_give(&chat->memory->answers, chat->taken);
    *chat = (struct api_chat){0};
}

/* ---- its ids ------------------------------------------------------------------------------------------- */

/* What a tokenizer puts around a text, told from a short one: before it and behind it, one after the other in *ids,
 * which is malloc'ed. */
static enum status find_around(const struct engine *engine, int32_t **ids, size_t *before, size_t *after,
                               struct error *e) {
    static const char text[] = "a";
    int32_t *plain = NULL, *all = NULL;
    size_t plain_count, count;
    enum status status = engine_encode(engine, text, 1, false, 0, &plain, &plain_count, e);
    if (status == STATUS_OK) status = engine_encode(engine, text, 1, true, 0, &all, &count, e);
    if (status == STATUS_OK) {
        *before = 0;
        while (*before + plain_count < count &&
               memcmp(all + *before, plain, plain_count * sizeof *plain) != 0)
            ++*before;
        *after = count - plain_count - *before;
        memmove(all + *before, all + *before + plain_count, *after * sizeof *all);
        *ids = all;
    }
    free(plain);
    return status;
}

static enum status add_around(const struct engine *engine, int32_t **ids, size_t *count, struct error *e) {
    int32_t *around = NULL;
    size_t before, after;
    enum status status = find_around(engine, &around, &before, &after, e);
    if (status != STATUS_OK) return status;
    int32_t *all = malloc((before + *count + after + 1) * sizeof *all);
    if (all) {
        memcpy(all, around, before * sizeof *all);
        memcpy(all + before, *ids, *count * sizeof *all);
        memcpy(all + before + *count, around + before, after * sizeof *all);
        free(*ids);
        *ids = all;
        *count += before + after;
    }
    free(around);
    return all ? STATUS_OK : error_set(e, STATUS_NO_MEMORY, "messages", "of so many tokens");
}

enum status api_chat_encode(const struct api_chat *chat, const struct engine *engine, bool special,
                            size_t tokens_max, int32_t **ids, size_t *count, struct error *e) {
    struct gate *reading = chat->memory ? &chat->memory->reading : NULL;
    size_t bytes = engine_encode_bytes(chat->text.length);
    if (reading && bytes > reading->max)
        return error_set(e, STATUS_LIMIT, "memory",
                         "encoding the conversation would take %zu KiB; at most %zu KiB are allowed",
                         bytes >> 10, reading->max >> 10);
    if (reading) gate_enter(reading, bytes);
    enum status status = engine_encode_chat(engine, &chat->text, tokens_max, ids, count, e);
    if (reading) gate_leave(reading, bytes);
    if (status != STATUS_OK || !special) return status;
    status = add_around(engine, ids, count, e);
    if (status == STATUS_OK) return status;
    free(*ids);
    *ids = NULL;
    return status;
}

/* ---- /apply-template ----------------------------------------------------------------------------------- */

static enum api_error_kind render_body(struct api_chat *chat, const struct engine *engine,
                                       const struct api_limits *limits, const json_t *body, size_t body_bytes,
                                       struct api_error *e) {
    struct api_params p = {0};
    *chat = (struct api_chat){0};
    if (api_params_check_model(body, limits, e) != API_OK ||
        api_params_check_names(API_APPLY_TEMPLATE, body, limits, e) != API_OK ||
        api_chat_read_opening(&p, body, e) != API_OK)
        return e->kind;
    return api_chat_render(chat, engine, body, body_bytes, &p, limits, e);
}

/* The text stands in a buffer that doubles. */
static enum api_error_kind write_text(const struct api_chat *chat, struct budget *budget, struct bytes *out,
                                      struct api_error *e) {
    size_t bytes = budget ? 2 * json_string_bytes(chat->text.text, chat->text.length) : 0;
    if (budget && api_memory_take(budget, chat->taken, bytes, "Send a shorter conversation.", e) != API_OK)
        return e->kind;
    bytes_text(out, "{\"prompt\":");
    json_write_string(out, chat->text.text, chat->text.length);
    bytes_text(out, "}");
    if (budget) budget_give(budget, bytes);
    return API_OK;
}

enum api_error_kind api_apply_template_body(const struct engine *engine, const struct api_limits *limits,
                                            const char *body, size_t length, struct bytes *out,
                                            struct api_error *e) {
    struct json_body json;
    struct api_chat chat;
    size_t beside = engine_chat_bytes(length);
    if (json_body_open(&json, body, length, (struct json_body_text){0}, beside, limits->memory, e) != API_OK)
        return e->kind;
    enum api_error_kind kind = render_body(&chat, engine, limits, json.root, length, e);
    json_body_close(&json);
    struct budget *budget = limits->memory ? &limits->memory->answers : NULL;
    if (kind == API_OK) kind = write_text(&chat, budget, out, e);
    api_chat_deinit(&chat);
    return kind;
}
