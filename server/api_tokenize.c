/* POST /tokenize, POST /detokenize (both in the uv pool) and GET /tokenizer_info. */
#include <stdlib.h>

#include "server/api.h"
#include "server/json_body.h"
#include "server/json_write.h"
#include "server/request.h"

static bool open_body(struct request *r, struct json_body *json) {
    struct service *s = r->service;
    return json_body_open(json, r->body.data, r->body.length, s->engine, &s->memory, &r->error) == API_OK;
}

static void answer(struct request *r) {
    request_answer(r, 200, "application/json");
}

static enum api_error_kind engine_failure(struct api_error *e, const char *param, const struct error *cause) {
    if (cause->code == STATUS_LIMIT) return api_error_set(e, API_CONTEXT_LENGTH, param, "%s", cause->text);
    if (cause->code == STATUS_NO_MEMORY)
        return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory.");
    return api_error_set(e, API_INVALID, param, "%s", cause->text);
}

/* ---- /tokenize ----------------------------------------------------------------------------------------- */

static void write_tokens(struct request *r, const char *text, size_t length, bool special) {
    int32_t *ids = NULL;
    size_t count = 0;
    struct error cause;
    if (engine_encode(r->service->engine, text, length, special, &ids, &count, &cause) != STATUS_OK) {
        engine_failure(&r->error, "prompt", &cause);
        return;
    }
    bytes_text(&r->answer, "{\"tokens\":[");
    for (size_t i = 0; i < count; i++) bytes_format(&r->answer, i ? ",%d" : "%d", (int)ids[i]);
    bytes_format(&r->answer, "],\"count\":%zu,\"max_model_len\":%zu}", count, r->service->limits.context);
    free(ids);
}

static void tokenize(struct request *r) {
    struct json_body json;
    if (!open_body(r, &json)) return;
    const json_t *body = json.root;
    const json_t *prompt = json_body_field(body, "prompt"), *content = json_body_field(body, "content");
    const json_t *special = json_body_field(body, "add_special_tokens");
    const json_t *text = prompt ? prompt : content;
    if (!text || (prompt && content))
        api_error_set(&r->error, API_INVALID, "prompt", "Either 'prompt' or 'content' is needed.");
    else if (!json_is_string(text))
        api_error_set(&r->error, API_INVALID, prompt ? "prompt" : "content",
                      "The text must be a string, not %s.", json_body_type_name(text));
    else if (special && !json_is_boolean(special))
        api_error_set(&r->error, API_INVALID, "add_special_tokens",
                      "'add_special_tokens' must be true or false, not %s.", json_body_type_name(special));
    else
        write_tokens(r, json_string_value(text), json_string_length(text), !special || json_is_true(special));
    json_body_close(&json);
}

void api_tokenize(struct request *r) {
    request_work(r, tokenize, answer);
}

/* ---- /detokenize --------------------------------------------------------------------------------------- */

static void write_text(struct request *r, const int32_t *ids, size_t count) {
    char *text = NULL;
    size_t length = 0;
    struct error cause;
    if (engine_decode(r->service->engine, ids, count, false, &text, &length, &cause) != STATUS_OK) {
        engine_failure(&r->error, "tokens", &cause);
        return;
    }
    bytes_text(&r->answer, "{\"prompt\":");
    json_write_string(&r->answer, text, length);
    bytes_text(&r->answer, "}");
    free(text);
}

static void detokenize(struct request *r) {
    struct json_body json;
    const struct api_limits *limits = &r->service->limits;
    int32_t *ids = NULL;
    size_t count = 0;
    if (!open_body(r, &json)) return;
    const json_t *tokens = json_body_field(json.root, "tokens");
    if (!tokens)
        api_error_set(&r->error, API_INVALID, "tokens", "'tokens' is missing.");
    else if (api_params_token_ids(tokens, "tokens", limits->context, limits->vocabulary, &ids, &count,
                                  &r->error) == API_OK)
        write_text(r, ids, count);
    free(ids);
    json_body_close(&json);
}

void api_detokenize(struct request *r) {
    request_work(r, detokenize, answer);
}

/* ---- /tokenizer_info ----------------------------------------------------------------------------------- */

static void write_token(struct bytes *out, const struct service *s, const char *name, int32_t id) {
    char text[256];
    if (id < 0) {
        bytes_format(out, "\"%s_token\":null,\"%s_token_id\":null,", name, name);
        return;
    }
    size_t length = engine_token_text(s->engine, id, text, sizeof text);
    bytes_format(out, "\"%s_token\":", name);
    json_write_string(out, text, length);
    bytes_format(out, ",\"%s_token_id\":%d,", name, (int)id);
}

void api_tokenizer_info(struct request *r) {
    const struct service *s = r->service;
    struct bytes *out = &r->answer;
    bytes_text(out, "{");
    write_token(out, s, "eos", s->info.end_count ? s->info.end_tokens[0] : -1);
    write_token(out, s, "bos", s->info.bos);
    write_token(out, s, "pad", s->info.pad);
    bytes_text(out, "\"eos_token_ids\":[");
    for (size_t i = 0; i < s->info.end_count; i++)
        bytes_format(out, i ? ",%d" : "%d", (int)s->info.end_tokens[i]);
    bytes_format(out, "],\"vocab_size\":%zu,\"model_max_length\":%zu}", s->info.vocabulary, s->info.context);
    request_answer(r, 200, "application/json");
}
