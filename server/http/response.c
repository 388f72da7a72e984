#include "server/http/response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "server/http/cors.h"
#include "server/http/deliver.h"

/* Of an answer, handed to the kernel at once; a larger one goes in slices. */
enum { WHOLE_ANSWER_BYTES_MAX = 262144, SLICE_BYTES = 65536 };

static void add_header(struct MHD_Response *response, const char *name, const char *value) {
    /* It fails only for want of memory or for a malformed value: then the answer goes without. */
    (void)MHD_add_response_header(response, name, value);
}

/* Of a page that a browser shows. */
static void add_page_headers(struct http_request *r, struct MHD_Response *response) {
    add_header(response, "Content-Security-Policy", r->content_policy);
    add_header(response, "X-Content-Type-Options", "nosniff");
    add_header(response, "Referrer-Policy", "no-referrer");
    add_header(response, "Cache-Control", "no-cache");
}

/* Of whole answers: what a stream took is not known when its header goes out. */
static void add_timing(struct http_request *r, struct MHD_Response *response) {
    char value[COMPLETION_SERVER_TIMING_SIZE];
    if (r->state != REQUEST_ANSWERED || r->status != 200 || !r->record.has_tokens) return;
    completion_server_timing(r->completion, (double)(clock_ns() - r->begun_ns) * 1e-9, value);
    add_header(response, "Server-Timing", value);
}

static void add_common_headers(struct http_request *r, struct MHD_Response *response) {
    add_header(response, "X-Request-Id", r->id);
    if (r->content_type) add_header(response, "Content-Type", r->content_type);
    if (r->content_policy) add_page_headers(r, response);
    if (r->must_close || service_is_leaving(r->service)) add_header(response, "Connection", "close");
    add_timing(r, response);
    cors_add_headers(response, r->service->config, r->is_preflight);
}

static void add_status_headers(struct http_request *r, struct MHD_Response *response) {
    char text[16];
    if (r->status == 405) add_header(response, "Allow", r->allow);
    if (r->status == 401) add_header(response, "WWW-Authenticate", "Bearer");
    if (api_error_is_final(r->status)) add_header(response, "x-should-retry", "false");
    if (r->status != 429 && r->status != 503) return;
    snprintf(text, sizeof text, "%u", service_retry_after(r->service, r->error.kind));
    add_header(response, "Retry-After", text);
}

static enum MHD_Result queue(struct http_request *r, struct MHD_Response *response) {
    if (!response) return MHD_NO;
    add_common_headers(r, response);
    add_status_headers(r, response);
    enum MHD_Result result = MHD_queue_response(r->mhd, r->status, response);
    MHD_destroy_response(response);
    http_stats_count_answer(&r->service->stats, route_number(r->service->routes, r->route), r->status);
    if (log_enabled(LOG_LEVEL_DEBUG))
        log_debug("request %s: %s %u after %.1f ms", r->id,
                  route_label(r->service->routes, route_number(r->service->routes, r->route)), r->status,
                  (double)(clock_ns() - r->begun_ns) * 1e-6);
    return result;
}

/* A large answer goes out in slices, since the kernel takes what it is given at once while everybody else
 * waits (about a millisecond a megabyte), and is freed in the pool. */
struct large_answer {
    struct work work;
    struct work_lanes *lanes;
    struct bytes bytes;
};

static void free_bytes(void *context) {
    struct large_answer *a = context;
    bytes_deinit(&a->bytes);
}

static void free_large_answer(void *context) {
    struct large_answer *a = context;
    a->work = (struct work){.run = free_bytes, .done = free, .context = a};
    if (work_start(a->lanes, &a->work, false)) return;
    free_bytes(a);
    free(a);
}

static ssize_t read_slice(void *context, uint64_t position, char *out, size_t size) {
    const struct large_answer *a = context;
    size_t rest = a->bytes.length - (size_t)position, length = rest < size ? rest : size;
    memcpy(out, a->bytes.data + position, length);
    return (ssize_t)length;
}

static enum MHD_Result queue_large_answer(struct http_request *r) {
    struct large_answer *a = calloc(1, sizeof *a);
    if (!a) return MHD_NO;
    a->lanes = &r->service->lanes;
    a->bytes = r->answer;
    r->answer = (struct bytes){0};
    struct MHD_Response *response =
        MHD_create_response_from_callback(a->bytes.length, SLICE_BYTES, read_slice, a, free_large_answer);
    if (!response) free_large_answer(a);
    return queue(r, response);
}

enum MHD_Result response_queue_answer(struct http_request *r) {
    if (r->answer.length > WHOLE_ANSWER_BYTES_MAX) return queue_large_answer(r);
    struct bytes answer = r->answer;
    r->answer = (struct bytes){0};
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer.length, answer.data, MHD_RESPMEM_MUST_FREE);
    if (!response) bytes_deinit(&answer);
    return queue(r, response);
}

/* libmicrohttpd asks for the next bytes of a stream. */
static ssize_t read_stream(void *context, uint64_t position, char *out, size_t size) {
    struct http_request *r = context;
    (void)position;
    if (r->state == REQUEST_GONE) return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t length = reply_take(&r->reply, out, size);
    if (r->completion->stalled && reply_has_room(&r->reply)) deliver_resume(r);
    if (!length) length = reply_take(&r->reply, out, size);
    r->service->stats.stream_bytes += length;
    if (length) return (ssize_t)length;
    if (r->state == REQUEST_GONE) return MHD_CONTENT_READER_END_WITH_ERROR;
    if (r->reply.ended) return MHD_CONTENT_READER_END_OF_STREAM;
    return http_request_suspend(r) ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
}

enum MHD_Result response_queue_stream(struct http_request *r) {
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, read_stream, r, NULL);
    if (!response) return MHD_NO;
    add_header(response, "Cache-Control", "no-cache");
    add_header(response, "X-Accel-Buffering", "no");
    return queue(r, response);
}

enum MHD_Result response_queue_preflight(struct http_request *r) {
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!response) return MHD_NO;
    cors_add_preflight_headers(
        response, MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, "Access-Control-Request-Headers"));
    r->status = 204;
    http_request_move(r, REQUEST_ANSWERED);
    return queue(r, response);
}
