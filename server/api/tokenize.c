#include "server/api/tokenize.h"

#include <stdlib.h>
#include <string.h>

#include "server/api/api_memory.h"
#include "server/api/chat.h"
#include "server/api/fields.h"
#include "server/api/json_body.h"
#include "server/json/write.h"

static enum api_error_kind engine_failure(struct api_error *e, const char *param, const struct error *cause) {
    if (cause->code == STATUS_NO_MEMORY)
        return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory.");
    return api_error_set(e, API_INVALID, param, "'%s': %s.", param, cause->text);
}

/* ---- /tokenize ----------------------------------------------------------------------------------------- */

struct tokenize {
    const char *param; /* the field that has the text */
    const char *text;  /* borrowed from the body; of a chat there is another */
    size_t length;
    bool special, is_chat;
    size_t body_bytes;    /* by which memory for a chat was taken; 0: none was */
    struct api_chat chat; /* that text */
};

/* Of a conversation the template says what stands around it. */
static enum api_error_kind read_special(struct tokenize *t, const json_t *body, struct api_error *e) {
    t->special = !t->is_chat;
    /* llama-server's name for it. */
    if (api_field_bool(body, "add_special", "add_special", &t->special, e) != API_OK) return e->kind;
    return api_field_bool(body, "add_special_tokens", "add_special_tokens", &t->special, e);
}

static enum api_error_kind read_text(struct tokenize *t, const json_t *text, const struct api_limits *limits,
                                     struct api_error *e) {
    if (!json_is_string(text)) return api_field_wrong_type(e, t->param, "a string", text);
    t->text = json_string_value(text);
    t->length = json_string_length(text);
    if (t->length <= limits->tokenize_bytes_max) return API_OK;
    return api_error_set(e, API_INVALID, t->param,
                         "'%s' has %zu bytes; at most %zu are allowed (tokenize-bytes-max).", t->param,
                         t->length, limits->tokenize_bytes_max);
}

static enum api_error_kind read_chat(struct tokenize *t, const struct engine *engine, const json_t *body,
                                     const struct api_limits *limits, struct api_error *e) {
    struct api_params opening = {0};
    if (!t->body_bytes)
        return api_error_set(e, API_INVALID, "messages", "'messages' must be written without escapes.");
    if (api_chat_read_opening(&opening, body, e) != API_OK ||
        api_chat_render(&t->chat, engine, body, t->body_bytes, &opening, limits, e) != API_OK)
        return e->kind;
    if (t->chat.text.length <= limits->tokenize_bytes_max) return API_OK;
    return api_error_set(
        e, API_INVALID, "messages",
        "'messages' have %zu bytes as they are written by the chat template; at most %zu are "
        "allowed (tokenize-bytes-max).",
        t->chat.text.length, limits->tokenize_bytes_max);
}

static enum api_error_kind read_tokenize(struct tokenize *t, const struct engine *engine, const json_t *body,
                                         const struct api_limits *limits, struct api_error *e) {
    static const char *const names[] = {"messages", "content", "prompt"};
    const json_t *value = NULL;
    size_t given = 0;
    if (api_params_check_model(body, limits, e) != API_OK ||
        api_params_check_names(API_TOKENIZE, body, limits, e) != API_OK)
        return e->kind;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *found = json_body_field(body, names[i]);
        if (found) given++, value = found, t->param = names[i];
    }
    if (given != 1)
        return api_error_set(e, API_INVALID, given ? t->param : "prompt",
                             "One of 'prompt', 'content' and 'messages' is needed, and no more than one.");
    t->is_chat = strcmp(t->param, "messages") == 0;
    if (read_special(t, body, e) != API_OK) return e->kind;
    return t->is_chat ? read_chat(t, engine, body, limits, e) : read_text(t, value, limits, e);
}

static enum api_error_kind write_tokens(const struct tokenize *t, const struct engine *engine,
                                        const struct api_limits *limits, struct bytes *out,
                                        struct api_error *e) {
    int32_t *ids = NULL;
    size_t count = 0;
    struct error cause;
    size_t most = limits->tokenize_ids_max;
    enum status status =
        t->is_chat ? api_chat_encode(&t->chat, engine, t->special, most, &ids, &count, &cause)
                   : engine_encode(engine, t->text, t->length, t->special, most, &ids, &count, &cause);
    if (status == STATUS_LIMIT && strcmp(cause.where, "tokens") == 0)
        return api_error_set(e, API_INVALID, t->param,
                             "'%s' has more than the %zu tokens that are allowed (tokenize-ids-max).",
                             t->param, limits->tokenize_ids_max);
    if (status != STATUS_OK) return engine_failure(e, t->param, &cause);
    bytes_text(out, "{\"tokens\":[");
    for (size_t i = 0; i < count; i++) {
        json_write_separator(out);
        bytes_integer(out, ids[i]);
    }
    bytes_format(out, "],\"count\":%zu,\"max_model_len\":%zu}", count, limits->context);
    free(ids);
    return API_OK;
}

/* Longer texts are refused before they are encoded. */
static size_t text_bytes_max(const struct engine *engine, const struct api_limits *limits) {
    size_t most = engine_text_bytes_max(engine, limits->tokenize_ids_max);
    return most < limits->tokenize_bytes_max ? most : limits->tokenize_bytes_max;
}

enum api_error_kind api_tokenize_body(const struct engine *engine, const struct api_limits *limits,
                                      const char *body, size_t length, struct bytes *out,
                                      struct api_error *e) {
    struct json_body json;
    size_t beside = api_chat_bytes(body, length);
    struct tokenize t = {.body_bytes = beside ? length : 0};
    const struct json_body_text text = {.strings = 1, .bytes_max = text_bytes_max(engine, limits)};
    if (json_body_open(&json, body, length, text, beside, limits->memory, e) != API_OK) return e->kind;
    enum api_error_kind kind = read_tokenize(&t, engine, json.root, limits, e);
    if (kind == API_OK && !t.is_chat) kind = write_tokens(&t, engine, limits, out, e);
    json_body_close(&json);
    if (kind == API_OK && t.is_chat) kind = write_tokens(&t, engine, limits, out, e);
    api_chat_deinit(&t.chat);
    return kind;
}

/* ---- /detokenize --------------------------------------------------------------------------------------- */

static enum api_error_kind write_text(const struct engine *engine, const int32_t *ids, size_t count,
                                      struct bytes *out, struct api_error *e) {
    char *text = NULL;
    size_t length = 0;
    struct error cause;
    if (engine_decode(engine, ids, count, false, &text, &length, NULL, &cause) != STATUS_OK)
        return engine_failure(e, "tokens", &cause);
    bytes_text(out, "{\"prompt\":");
    json_write_string(out, text, length);
    bytes_text(out, "}");
    free(text);
    return API_OK;
}

static enum api_error_kind read_tokens(const json_t *body, const struct api_limits *limits, int32_t **ids,
                                       size_t *count, struct api_error *e) {
    const json_t *tokens = json_body_field(body, "tokens");
    if (api_params_check_model(body, limits, e) != API_OK ||
        api_params_check_names(API_DETOKENIZE, body, limits, e) != API_OK)
        return e->kind;
    if (!tokens) return api_error_set(e, API_INVALID, "tokens", "'tokens' is missing.");
    return api_params_token_ids(tokens, "tokens", limits->tokenize_ids_max, limits->vocabulary, ids, count,
                                e);
}

/* Memory that the text of ids and its JSON take together: both stand in buffers that double. A token may come
 * with a blank. */
static size_t text_memory(const struct engine *engine, const int32_t *ids, size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const char *token = engine_token_text(engine, ids[i], &length);
        bytes += 2 * (length + 1 + json_string_bytes(token, length));
    }
    return bytes;
}

/* A few bytes of body can name tokens of long texts: so memory for the text is taken before it is made. */
static enum api_error_kind write_counted_text(const struct engine *engine, const int32_t *ids, size_t count,
                                              struct budget *budget, struct bytes *out, struct api_error *e) {
    size_t bytes = budget ? text_memory(engine, ids, count) : 0;
    if (budget && api_memory_take(budget, 0, bytes, "Send fewer ids at once.", e) != API_OK) return e->kind;
    enum api_error_kind kind = write_text(engine, ids, count, out, e);
    if (budget) budget_give(budget, bytes);
    return kind;
}

enum api_error_kind api_detokenize_body(const struct engine *engine, const struct api_limits *limits,
                                        const char *body, size_t length, struct bytes *out,
                                        struct api_error *e) {
    struct json_body json;
    int32_t *ids = NULL;
    size_t count = 0;
    if (json_body_open(&json, body, length, (struct json_body_text){0}, 0, limits->memory, e) != API_OK)
        return e->kind;
    enum api_error_kind kind = read_tokens(json.root, limits, &ids, &count, e);
    json_body_close(&json);
    struct budget *budget = limits->memory ? &limits->memory->answers : NULL;
    if (kind == API_OK) kind = write_counted_text(engine, ids, count, budget, out, e);
    free(ids);
    return kind;
}
