#include "server/api/tokenize.h"

#include <stdlib.h>
#include <string.h>

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
    const char *text;  /* borrowed from the body */
    size_t length;
    bool special;
};

static enum api_error_kind read_special(struct tokenize *t, const json_t *body, struct api_error *e) {
    t->special = true;
    /* llama-server's name for it. */
    if (api_field_bool(body, "add_special", "add_special", &t->special, e) != API_OK) return e->kind;
    return api_field_bool(body, "add_special_tokens", "add_special_tokens", &t->special, e);
}

static enum api_error_kind read_tokenize(struct tokenize *t, const json_t *body,
                                         const struct api_limits *limits, struct api_error *e) {
    const json_t *prompt = json_body_field(body, "prompt"), *content = json_body_field(body, "content");
    const json_t *text = prompt ? prompt : content;
    t->param = prompt || !content ? "prompt" : "content";
    if (api_params_check_names(API_TOKENIZE, body, limits, e) != API_OK) return e->kind;
    if (!text || (prompt && content))
        return api_error_set(e, API_INVALID, "prompt", "Either 'prompt' or 'content' is needed.");
    if (!json_is_string(text)) return api_field_wrong_type(e, t->param, "a string", text);
    t->text = json_string_value(text);
    t->length = json_string_length(text);
    if (t->length > limits->tokenize_bytes_max)
        return api_error_set(e, API_INVALID, t->param,
                             "'%s' has %zu bytes; at most %zu are allowed (tokenize-bytes-max).", t->param,
                             t->length, limits->tokenize_bytes_max);
    return read_special(t, body, e);
}

static enum api_error_kind write_tokens(const struct tokenize *t, const struct engine *engine,
                                        const struct api_limits *limits, struct bytes *out,
                                        struct api_error *e) {
    int32_t *ids = NULL;
    size_t count = 0;
    struct error cause;
    enum status status =
        engine_encode(engine, t->text, t->length, t->special, limits->tokenize_ids_max, &ids, &count, &cause);
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
    struct tokenize t = {0};
    if (json_body_open(&json, body, length, text_bytes_max(engine, limits), limits->memory, e) != API_OK)
        return e->kind;
    enum api_error_kind kind = read_tokenize(&t, json.root, limits, e);
    if (kind == API_OK) kind = write_tokens(&t, engine, limits, out, e);
    json_body_close(&json);
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
    if (api_params_check_names(API_DETOKENIZE, body, limits, e) != API_OK) return e->kind;
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
    if (budget && bytes > budget->max)
        return api_error_set(e, API_BODY_TOO_LARGE, "tokens",
                             "The text would take %zu KiB of memory; at most %zu KiB are allowed. Send fewer "
                             "ids at once.",
                             bytes >> 10, budget->max >> 10);
    if (budget && !budget_take(budget, bytes))
        return api_error_set(e, API_QUEUE_FULL, NULL,
                             "The server is busy: its memory for answers is taken. Try again later.");
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
    if (json_body_open(&json, body, length, 0, limits->memory, e) != API_OK) return e->kind;
    enum api_error_kind kind = read_tokens(json.root, limits, &ids, &count, e);
    json_body_close(&json);
    struct budget *budget = limits->memory ? &limits->memory->answers : NULL;
    if (kind == API_OK) kind = write_counted_text(engine, ids, count, budget, out, e);
    free(ids);
    return kind;
}
