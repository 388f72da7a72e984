#include "server/http.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "server/client_request.h"
#include "server/connection.h"
#include "server/cors.h"
#include "server/deliver.h"
#include "server/late_answer.h"
#include "server/linger.h"
#include "server/request.h"

/* Of a refused body so much is read and dropped, so that the client gets to see the answer; a client that
 * sends more is cut off. */
enum { DISCARD_BYTES_MAX = 16 << 20 };

/* Of an answer, handed to the kernel at once; a larger one goes in slices. */
enum { WHOLE_ANSWER_BYTES_MAX = 262144, SLICE_BYTES = 65536 };

enum { ID_BYTES_MAX = 128 };

/* A blank at the end of a header's value does not count. */
static struct http_text header(const struct request *r, const char *name) {
    return http_header(r->mhd, name);
}

/* As it came, for those who trim it themselves; NULL: absent. */
static const char *raw_header(const struct request *r, const char *name) {
    return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

/* ---- what comes in ------------------------------------------------------------------------------------- */

static bool is_sane_id(struct http_text id) {
    if (!id.length || id.length > ID_BYTES_MAX) return false;
    for (size_t i = 0; i < id.length; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:", id.data[i]))
            return false;
    return true;
}

static void set_id(struct request *r) {
    static uint64_t number;
    struct http_text given = header(r, "X-Request-Id");
    if (is_sane_id(given))
        snprintf(r->id, sizeof r->id, "%.*s", (int)given.length, given.data);
    else
        snprintf(r->id, sizeof r->id, "req-%llx-%llu", (unsigned long long)r->service->started,
                 (unsigned long long)++number);
}

static bool has_key(struct request *r) {
    const struct service *s = r->service;
    const struct keys_given given = {raw_header(r, "Authorization"), raw_header(r, "X-Api-Key"),
                                     raw_header(r, "api-key")};
    unsigned flags = r->route ? r->route->flags : 0;
    if (flags & ROUTE_OPEN || (flags & ROUTE_METRICS && s->config->public_metrics)) return true;
    return keys_allow(&s->keys, &given, &r->key);
}

static bool is_json(struct http_text type) {
    if (!type.data) return true; /* nothing wrong was said */
    const char *semicolon = memchr(type.data, ';', type.length);
    size_t length = semicolon ? (size_t)(semicolon - type.data) : type.length;
    return http_text_is(http_text_trim(type.data, length), "application/json");
}

/* Only then is its body kept and counted against the admission; any other is read away. */
static bool wants_body(const struct request *r) {
    return r->error.kind == API_OK && r->route && r->route->method[0] == 'P';
}

/* libmicrohttpd has refused what is no number. */
static unsigned long long content_length(const struct request *r) {
    const char *length = raw_header(r, "Content-Length");
    return length ? strtoull(length, NULL, 10) : 0;
}

/* Holds for every request: a body that nobody wants is read away, but not without end. */
static enum api_error_kind check_length(struct request *r) {
    size_t most = r->service->config->body_bytes_max;
    unsigned long long length = content_length(r);
    if (length <= most) return API_OK;
    return api_error_set(&r->error, API_BODY_TOO_LARGE, NULL,
                         "The body has %llu bytes; at most %zu are allowed.", length, most);
}

/* What can be said of a body before it comes. */
static enum api_error_kind check_body_header(struct request *r) {
    struct http_text encoding = header(r, "Content-Encoding"), type = header(r, "Content-Type");
    if (!is_json(type))
        return api_error_set(&r->error, API_CONTENT_TYPE, NULL,
                             "The content type is '%.*s'; application/json was expected.",
                             (int)(type.length < 100 ? type.length : 100), type.data);
    if (encoding.data && !http_text_is(encoding, "identity"))
        return api_error_set(&r->error, API_CONTENT_TYPE, NULL,
                             "The content encoding '%.*s' is not supported.",
                             (int)(encoding.length < 100 ? encoding.length : 100), encoding.data);
    return API_OK;
}

static enum api_error_kind check_phase(struct request *r) {
    if (r->route->flags & ROUTE_ALWAYS) return API_OK;
    if (r->service->phase == SERVICE_LOADING)
        return api_error_set(&r->error, API_LOADING, NULL, "The model is still loading.");
    if (r->service->phase != SERVICE_SERVING)
        return api_error_set(&r->error, API_DRAINING, NULL, "The server is shutting down.");
    return API_OK;
}

/* Everything that is known from the header alone; the refusal goes out when the body has been read away. */
static enum api_error_kind check_header(struct request *r, const char *method, const char *path) {
    r->route = route_find(method, path, &r->allow);
    if (!has_key(r))
        return api_error_set(&r->error, API_UNAUTHORIZED, NULL,
                             "A valid API key is needed: 'Authorization: Bearer KEY', or 'X-Api-Key: KEY'.");
    if (!r->route && r->allow)
        return api_error_set(&r->error, API_METHOD, NULL,
                             "The method %.20s is not allowed for %.200s; allowed: %s.", method, path,
                             r->allow);
    if (!r->route) return api_error_set(&r->error, API_NOT_FOUND, NULL, "There is no %.200s here.", path);
    if (check_phase(r) != API_OK) return r->error.kind;
    if (check_length(r) != API_OK) return r->error.kind;
    if (wants_body(r) && check_body_header(r) != API_OK) return r->error.kind;
    if (r->route->flags & ROUTE_CLIENT) return client_request_enter(r);
    if (r->route->flags & ROUTE_PREFIX && !(r->tail = strdup(path + strlen(r->route->path))))
        return api_error_set(&r->error, API_INTERNAL, NULL, "There is not enough memory.");
    return API_OK;
}

static void refuse(struct request *r, enum api_error_kind kind, const char *message) {
    api_error_set(&r->error, kind, NULL, "%s", message);
    admission_give_bytes(&r->service->admission, r->body_ticket);
    r->body_ticket = 0;
    bytes_deinit(&r->body);
}

static void keep(struct request *r, const char *data, size_t length) {
    struct service *s = r->service;
    if (length > s->config->body_bytes_max - r->body.length)
        refuse(r, API_BODY_TOO_LARGE, "The body is longer than this server allows.");
    else if (!admission_take_bytes(&s->admission, length))
        refuse(r, API_QUEUE_FULL, "The server is busy: too many prompts are being read. Try again later.");
    else {
        r->body_ticket += length;
        bytes_append(&r->body, data, length);
        if (r->body.failed) refuse(r, API_INTERNAL, "There is not enough memory for the body.");
    }
}

/* false: the client sends more than is worth reading. */
static bool receive(struct request *r, const char *data, size_t length) {
    r->service->stats.body_bytes += length;
    if (wants_body(r)) {
        keep(r, data, length);
        return true;
    }
    r->discarded += length;
    if (r->discarded <= DISCARD_BYTES_MAX) return true;
    if (r->error.kind == API_OK) refuse(r, API_BODY_TOO_LARGE, "The body is longer than this server allows.");
    late_answer_send(r, &r->error);
    r->connection->must_linger = true;
    return false;
}

/* ---- what goes out ------------------------------------------------------------------------------------- */

static void add_header(struct MHD_Response *response, const char *name, const char *value) {
    /* It fails only for want of memory or for a malformed value: then the answer goes without. */
    (void)MHD_add_response_header(response, name, value);
}

static void add_common_headers(struct request *r, struct MHD_Response *response) {
    add_header(response, "X-Request-Id", r->id);
    if (r->content_type) add_header(response, "Content-Type", r->content_type);
    if (r->must_close || r->service->phase >= SERVICE_DRAINING) add_header(response, "Connection", "close");
    cors_add_headers(response, r->service->config, r->is_preflight);
}

static void add_status_headers(struct request *r, struct MHD_Response *response) {
    char text[16];
    if (r->status == 405) add_header(response, "Allow", r->allow);
    if (r->status == 401) add_header(response, "WWW-Authenticate", "Bearer");
    if (api_error_is_final(r->status)) add_header(response, "x-should-retry", "false");
    if (r->status != 429 && r->status != 503) return;
    snprintf(text, sizeof text, "%u", service_retry_after(r->service, r->error.kind));
    add_header(response, "Retry-After", text);
}

static enum MHD_Result queue(struct request *r, struct MHD_Response *response) {
    if (!response) return MHD_NO;
    add_common_headers(r, response);
    add_status_headers(r, response);
    enum MHD_Result result = MHD_queue_response(r->mhd, r->status, response);
    MHD_destroy_response(response);
    stats_count_answer(&r->service->stats, route_number(r->route), r->status);
    if (log_enabled(LOG_LEVEL_DEBUG))
        log_debug("request %s: %s %u after %.1f ms", r->id, route_label(route_number(r->route)), r->status,
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

static enum MHD_Result queue_large_answer(struct request *r) {
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

static enum MHD_Result queue_answer(struct request *r) {
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
    struct request *r = context;
    (void)position;
    if (r->state == REQUEST_GONE) return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t length = reply_take(&r->reply, out, size);
    if (r->completion->stalled && reply_has_room(&r->reply)) deliver_resume(r);
    if (!length) length = reply_take(&r->reply, out, size);
    r->service->stats.stream_bytes += length;
    if (length) return (ssize_t)length;
    if (r->state == REQUEST_GONE) return MHD_CONTENT_READER_END_WITH_ERROR;
    if (r->reply.ended) return MHD_CONTENT_READER_END_OF_STREAM;
    return request_suspend(r) ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
}

static enum MHD_Result queue_stream(struct request *r) {
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, read_stream, r, NULL);
    if (!response) return MHD_NO;
    add_header(response, "Cache-Control", "no-cache");
    add_header(response, "X-Accel-Buffering", "no");
    return queue(r, response);
}

/* 204; it says what the page may send, whatever the path: the request itself is answered like any other. */
static enum MHD_Result queue_preflight(struct request *r) {
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!response) return MHD_NO;
    cors_add_preflight_headers(response, raw_header(r, "Access-Control-Request-Headers"));
    r->status = 204;
    request_move(r, REQUEST_ANSWERED);
    return queue(r, response);
}

/* ---- callbacks of libmicrohttpd ------------------------------------------------------------------------ */

/* The request is complete, or goes on after it was suspended. */
static enum MHD_Result proceed(struct request *r) {
    if (r->state == REQUEST_RECEIVING) {
        if (r->error.kind != API_OK)
            request_fail(r);
        else if (r->is_preflight)
            return queue_preflight(r);
        else
            r->route->handle(r);
    }
    switch (r->state) {
    case REQUEST_ANSWERED:
        return queue_answer(r);
    case REQUEST_STREAMING:
        return queue_stream(r);
    case REQUEST_GONE:
        return MHD_NO;
    case REQUEST_RECEIVING:
    case REQUEST_PREPARING:
    case REQUEST_RUNNING:
    case REQUEST_WRITING:
        break;
    }
    return request_suspend(r) ? MHD_YES : MHD_NO;
}

/* The header leaves open where the request ends, or may have left no memory for an answer's. */
static bool is_unreadable(const struct request *r) {
    switch (r->error.kind) {
    case API_MALFORMED:
    case API_CODING:
    case API_TARGET_TOO_LONG:
    case API_HEADER_TOO_LARGE:
        return true;
    default:
        return false;
    }
}

/* A client that waits for "100 Continue", or wants to send far too much, is answered at once; libmicrohttpd
 * then closes the connection. */
static bool must_refuse_now(const struct request *r) {
    if (r->error.kind == API_OK) return false;
    return is_unreadable(r) || raw_header(r, "Expect") || content_length(r) > DISCARD_BYTES_MAX;
}

/* A client that asks for "100 Continue" and has no body: libmicrohttpd would send it, and then perhaps read
 * so much of what follows that no memory is left for the answer. */
static bool waits_for_nothing(const struct request *r) {
    return raw_header(r, "Expect") && !content_length(r) && !raw_header(r, "Transfer-Encoding");
}

/* Everything that is known from the line and the header. r->error says what is wrong. */
static void check(struct request *r, const char *method, const char *target) {
    if (http_check(r->mhd, &r->connection->line, &r->error) != API_OK) return;
    const char *path = http_target_path(method, target);
    if (!path)
        api_error_set(&r->error, API_MALFORMED, NULL,
                      "The request's target '%.200s' is no path and no URL of HTTP.", target);
    else if (r->service->config->cors_origin && strcmp(method, "OPTIONS") == 0) {
        r->is_preflight = true;
        check_length(r);
    } else
        check_header(r, method, path);
}

static enum MHD_Result begin(struct service *s, struct MHD_Connection *mhd, const char *method,
                             const char *target, const char *version, void **context) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *connection = info ? info->socket_context : NULL;
    struct request *r = connection ? request_create(s, connection, mhd) : NULL;
    if (!r) return MHD_NO;
    *context = r;
    connection->request = r;
    connection->line.method = method;
    connection->line.version = version;
    set_id(r);
    check(r, method, target);
    if (!must_refuse_now(r)) return waits_for_nothing(r) ? proceed(r) : MHD_YES;
    r->must_close = connection->must_linger = true;
    if (!is_unreadable(r)) return proceed(r);
    late_answer_send(r, &r->error);
    return MHD_NO;
}

static enum MHD_Result on_request(void *service, struct MHD_Connection *mhd, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_length, void **context) {
    struct request *r = *context;
    if (!r) return begin(service, mhd, method, path, version, context);
    if (*data_length) {
        bool ok = receive(r, data, *data_length);
        *data_length = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    return proceed(r);
}

static void on_completed(void *service, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode why) {
    struct service *s = service;
    struct request *r = *context;
    (void)mhd;
    if (!r) return;
    *context = NULL;
    r->connection->request = NULL;
    r->connection->since_ns = clock_ns();
    if (why != MHD_REQUEST_TERMINATED_COMPLETED_OK && !r->connection->is_cut && !r->is_answered_late &&
        s->phase != SERVICE_STOPPING)
        s->stats.disconnects++;
    r->is_suspended = false;
    request_abandon(r);
    r->connection = NULL;
    r->mhd = NULL;
    request_release(r);
}

static void on_connection(void *service, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what) {
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = info ? connection_create(service, info->connect_fd) : NULL;
    } else if (*context) {
        connection_destroy(*context);
        *context = NULL;
    }
}

/* The target as it came. Nothing is made for the request here: it begins with its header. The query, which
 * nobody reads, is cut off: for each of its fields libmicrohttpd takes memory of the connection, and where
 * that does not suffice the request would hang. The text is the connection's own buffer. */
static void *on_target(void *service, const char *target, struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *connection = info ? info->socket_context : NULL;
    (void)service;
    if (connection) http_line_set_target(&connection->line, target);
    char *query = target ? strchr((char *)target, '?') : NULL;
    if (query && query[1]) query[1] = '\0';
    return NULL;
}

/* A NUL would end the path before its end; left as it is, "%00" is no path of ours. */
static size_t on_unescape(void *service, struct MHD_Connection *mhd, char *text) {
    (void)service, (void)mhd;
    return strstr(text, "%00") ? strlen(text) : MHD_http_unescape(text);
}

static void on_log(void *service, const char *format, va_list args) {
    char line[512];
    (void)service;
    if (!log_enabled(LOG_LEVEL_DEBUG)) return;
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\r\n")] = '\0';
    log_debug("http: %s", line);
}

/* ---- start and stop ------------------------------------------------------------------------------------ */

enum status http_start(struct service *s, struct error *e) {
    const struct config *config = s->config;
    /* Our own sweep is exact about requests; this one catches answers that nobody reads. */
    size_t timeout = config->idle_timeout_seconds > config->stall_timeout_seconds
                         ? config->idle_timeout_seconds
                         : config->stall_timeout_seconds;
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, tls_callback()},
                                   {MHD_OPTION_HTTPS_PRIORITIES, 0, config->tls_priorities},
                                   {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (s->tls.pair) flags |= MHD_USE_TLS;
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, s, MHD_OPTION_LISTEN_SOCKET,
        s->listener.fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->memory.connections_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)timeout, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, s, MHD_OPTION_URI_LOG_CALLBACK, on_target, s, MHD_OPTION_STRICT_FOR_CLIENT,
        http_strictness(), MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, s, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_ARRAY, s->tls.pair ? tls : none, MHD_OPTION_END);
    if (!s->daemon)
        return error_set(e, STATUS_IO, s->listener.url, "the HTTP daemon cannot be started: %s",
                         strerror(errno));
    s->listener.fd = -1; /* the daemon closes it */
    return loop_attach(&s->loop, s->daemon, e);
}

void http_stop(struct service *s) {
    if (!s->daemon) return;
    for (struct request *r = s->requests; r; r = r->next) {
        request_retain(r);
        request_abandon(r);
    }
    loop_detach(&s->loop);
    MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    linger_end_all(s);
    for (struct request *r = s->requests, *next; r; r = next) {
        next = r->next;
        request_release(r);
    }
}
