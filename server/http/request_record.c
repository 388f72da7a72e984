#include "server/http/request_record.h"

#include <netinet/in.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "server/http/client_request.h"
#include "server/http/connection.h"
#include "server/http/http_request.h"
#include "server/http/traceparent.h"

void request_record_event(struct http_request *r, const struct engine_event *event) {
    struct request_record *record = &r->record;
    if (event->kind == ENGINE_EVENT_TOKEN && !record->first_token_ns) record->first_token_ns = clock_ns();
    if (event->kind != ENGINE_EVENT_FINISHED) return;
    record->is_late |= event->finish == ENGINE_FINISH_TIMEOUT;
    record->is_long |= event->finish == ENGINE_FINISH_LENGTH;
    if (event->queue_seconds > record->queued_seconds) record->queued_seconds = event->queue_seconds;
}

void request_record_note(struct http_request *r) {
    struct request_record *record = &r->record;
    const struct completion *c = r->completion;
    if (!c || !c->prompt_count || record->has_tokens) return;
    record->has_tokens = true;
    for (size_t i = 0; i < c->prompt_count; i++) {
        record->prompt_tokens += c->prompts[i].count;
        record->cached_tokens += c->prompts[i].cached_tokens;
        for (int64_t j = 0; c->prompts[i].choices && j < c->params.best_of; j++)
            record->generated_tokens += c->prompts[i].choices[j].generated;
    }
    if (c->failure.kind != API_OK) record->failure = c->failure.kind;
}

/* ---- how it ended -------------------------------------------------------------------------------------- */

static void set(struct access_record *out, const char *outcome, const char *reason) {
    out->outcome = outcome;
    out->reason = reason;
}

/* has_begun: it was admitted. */
static void judge_failure(struct access_record *out, enum api_error_kind kind, bool has_begun) {
    unsigned status = api_error_status(kind);
    if (kind == API_DRAINING && has_begun)
        set(out, "cancelled", "shutdown");
    else if (kind == API_TIMEOUT)
        set(out, "timeout", api_error_reason(kind));
    else if (status == 500 || has_begun)
        set(out, "failed", api_error_reason(kind));
    else
        set(out, "refused", api_error_reason(kind));
}

static void judge(const struct http_request *r, bool is_whole, struct access_record *out) {
    const struct request_record *record = &r->record;
    bool is_complete = r->state == REQUEST_ANSWERED || r->state == REQUEST_STREAMING;
    if (record->failure != API_OK && (is_complete || r->is_answered_late || record->cut_by))
        judge_failure(out, record->failure, record->has_tokens);
    else if (!is_complete || !is_whole || record->cut_by)
        set(out, "cancelled", record->cut_by ? record->cut_by : "client");
    else if (!record->has_tokens)
        set(out, "ok", "");
    else if (record->is_late)
        set(out, "timeout", "");
    else
        set(out, record->is_long ? "length" : "stop", "");
}

/* ---- who asked ----------------------------------------------------------------------------------------- */

static const char *trace_id(const struct http_request *r, char out[TRACE_ID_BYTES + 1]) {
    struct http_text value = http_header_once(r->mhd, "traceparent");
    return value.data && traceparent_read(value.data, value.length, out) ? out : "";
}

/* 4xx are what a client wonders about; 500 is ours. Others are said where they arise. */
static void log_refusal(const struct http_request *r, const struct access_record *record) {
    bool is_ours = record->status == 500;
    enum log_level level = is_ours ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO;
    if (!log_enabled(level) || record->status < 400 || (record->status > 499 && !is_ours)) return;
    log_write(level, "request %s: %s %s %u %s", r->id, record->method, record->path, record->status,
              record->reason);
}

void request_record_write(struct http_request *r, bool is_whole) {
    struct access_log *log = &r->service->access_log;
    const struct request_record *record = &r->record;
    char trace[TRACE_ID_BYTES + 1], client[CLIENT_TEXT_BYTES];
    uint64_t now_ns = clock_ns();
    struct access_record line = {.id = r->id, .method = r->method, .path = r->path, .status = r->status};
    if (r->state == REQUEST_RUNNING || r->state == REQUEST_STREAMING) request_record_note(r);
    judge(r, is_whole, &line);
    log_refusal(r, &line);
    if (!log->is_on) return;
    line.trace_id = trace_id(r, trace);
    line.client = client_request_text(r, client);
    line.has_tokens = record->has_tokens;
    line.prompt_tokens = record->prompt_tokens;
    line.cached_tokens = record->cached_tokens;
    line.generated_tokens = record->generated_tokens;
    line.queued_seconds = record->has_tokens ? record->queued_seconds : -1;
    line.first_token_seconds =
        record->first_token_ns ? (double)(record->first_token_ns - r->begun_ns) * 1e-9 : -1;
    line.total_seconds = (double)(now_ns - r->begun_ns) * 1e-9;
    access_log_write(log, &line);
}
