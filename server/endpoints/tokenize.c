/* POST /tokenize, /detokenize and /apply-template (in the uv pool) and GET /tokenizer_info. */
#include "server/api/chat.h"
#include "server/api/tokenize.h"
#include "server/endpoints/endpoints.h"
#include "server/http/http_request.h"
#include "server/json/write.h"

static void answer(struct http_request *r) {
    http_request_answer(r, 200, "application/json");
}

static void tokenize(struct http_request *r) {
    const struct service *s = r->service;
    api_tokenize_body(s->engine, &s->limits, r->body.data, r->body.length, &r->answer, &r->error);
}

void endpoint_tokenize(struct http_request *r) {
    http_request_work(r, tokenize, answer);
}

static void detokenize(struct http_request *r) {
    const struct service *s = r->service;
    api_detokenize_body(s->engine, &s->limits, r->body.data, r->body.length, &r->answer, &r->error);
}

void endpoint_detokenize(struct http_request *r) {
    http_request_work(r, detokenize, answer);
}

static void apply_template(struct http_request *r) {
    const struct service *s = r->service;
    api_apply_template_body(s->engine, &s->limits, r->body.data, r->body.length, &r->answer, &r->error);
}

void endpoint_apply_template(struct http_request *r) {
    http_request_work(r, apply_template, answer);
}

static void write_token(struct bytes *out, const struct service *s, const char *name, int32_t id) {
    if (id < 0) {
        bytes_format(out, "\"%s_token\":null,\"%s_token_id\":null,", name, name);
        return;
    }
    if (engine_no_tokenizer(s->engine)) {
        bytes_format(out, "\"%s_token\":null,\"%s_token_id\":%d,", name, name, (int)id);
        return;
    }
    size_t length;
    const char *text = engine_token_text(s->engine, id, &length);
    bytes_format(out, "\"%s_token\":", name);
    json_write_string(out, text, length);
    bytes_format(out, ",\"%s_token_id\":%d,", name, (int)id);
}

void endpoint_tokenizer_info(struct http_request *r) {
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
    http_request_answer(r, 200, "application/json");
}
