#include "server/http.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "server/connection.h"
#include "server/deliver.h"
#include "server/request.h"

/* Header and request line of one request must fit, and one piece of its body: about 30 KiB of header. */
enum { CONNECTION_MEMORY_BYTES = 32768 };

/* Of a refused body so much is read and dropped, so that the client gets to see the answer; a client that
 * sends more is cut off. */
enum { DISCARD_BYTES_MAX = 16 << 20 };

/* Of a stream, handed to libmicrohttpd at once. */
enum { STREAM_BLOCK_BYTES = 16384 };

/* Of an answer, handed to the kernel at once; a larger one goes in slices. */
enum { WHOLE_ANSWER_BYTES_MAX = 262144, SLICE_BYTES = 65536 };

enum { ID_BYTES_MAX = 128 };

static const char *header(const struct request *r, const char *name) {
    return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

/* ---- what comes in ------------------------------------------------------------------------------------- */

static bool is_sane_id(const char *id) {
    size_t length = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:");
    return length && length <= ID_BYTES_MAX && !id[length];
}

static void set_id(struct request *r) {
    static uint64_t number;
    const char *given = header(r, "X-Request-Id");
    if (given && is_sane_id(given))
        snprintf(r->id, sizeof r->id, "%s", given);
    else
        snprintf(r->id, sizeof r->id, "req-%llx-%llu", (unsigned long long)r->service->started,
                 (unsigned long long)++number);
}

static bool has_key(const struct request *r) {
    const struct service *s = r->service;
    unsigned flags = r->route ? r->route->flags : 0;
    if (flags & ROUTE_OPEN || (flags & ROUTE_METRICS && s->config->public_metrics)) return true;
    return keys_allow(&s->keys, header(r, "Authorization"));
}

static bool is_json(const char *type) {
    size_t length = strlen("application/json");
    if (!type) return true; /* nothing wrong was said */
    if (strncasecmp(type, "application/json", length) != 0) return false;
    return type[length] == '\0' || type[length] == ';' || type[length] == ' ';
}

/* What can be said of a body before it comes. */
static enum api_error_kind check_body_header(struct request *r) {
    const char *encoding = header(r, "Content-Encoding"), *type = header(r, "Content-Type");
    const char *length = header(r, "Content-Length");
    size_t most = r->service->config->body_bytes_max;
    if (!is_json(type))
        return api_error_set(&r->error, API_CONTENT_TYPE, NULL,
                             "The content type is '%.100s'; application/json was expected.", type);
    if (encoding && strcasecmp(encoding, "identity") != 0)
        return api_error_set(&r->error, API_CONTENT_TYPE, NULL,
                             "The content encoding '%.100s' is not supported.", encoding);
    if (length && strtoull(length, NULL, 10) > most)
        return api_error_set(&r->error, API_BODY_TOO_LARGE, NULL,
                             "The body has %.20s bytes; at most %zu are allowed.", length, most);
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
                             "A valid API key is needed: 'Authorization: Bearer KEY'.");
    if (!r->route && r->allow)
        return api_error_set(&r->error, API_METHOD, NULL,
                             "The method %.20s is not allowed for %.200s; allowed: %s.", method, path,
                             r->allow);
    if (!r->route) return api_error_set(&r->error, API_NOT_FOUND, NULL, "There is no %.200s here.", path);
    if (check_phase(r) != API_OK) return r->error.kind;
    if (r->route->method[0] == 'P') return check_body_header(r);
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

/* false: the client sends more than is worth reading. */
static bool receive(struct request *r, const char *data, size_t length) {
    struct service *s = r->service;
    s->stats.body_bytes += length;
    if (r->error.kind == API_OK && r->route->method[0] == 'P') {
        if (length > s->config->body_bytes_max - r->body.length)
            refuse(r, API_BODY_TOO_LARGE, "The body is longer than this server allows.");
        else if (!admission_take_bytes(&s->admission, length))
            refuse(r, API_QUEUE_FULL,
                   "The server is busy: too many prompts are being read. Try again later.");
        else {
            r->body_ticket += length;
            bytes_append(&r->body, data, length);
            if (r->body.failed) refuse(r, API_INTERNAL, "There is not enough memory for the body.");
            return true;
        }
    }
    r->discarded += length;
    return r->discarded <= DISCARD_BYTES_MAX;
}

/* ---- what goes out ------------------------------------------------------------------------------------- */

static void add_header(struct MHD_Response *response, const char *name, const char *value) {
    /* It fails only for want of memory or for a malformed value: then the answer goes without. */
    (void)MHD_add_response_header(response, name, value);
}

static void add_common_headers(struct request *r, struct MHD_Response *response) {
    const struct config *config = r->service->config;
    add_header(response, "X-Request-Id", r->id);
    if (r->content_type) add_header(response, "Content-Type", r->content_type);
    if (r->must_close || r->service->phase >= SERVICE_DRAINING) add_header(response, "Connection", "close");
    if (!config->cors_origin) return;
    add_header(response, "Access-Control-Allow-Origin", config->cors_origin);
    add_header(response, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After, x-should-retry");
    if (strcmp(config->cors_origin, "*") != 0) add_header(response, "Vary", "Origin");
}

static void add_status_headers(struct request *r, struct MHD_Response *response) {
    char text[16];
    if (r->status == 405) add_header(response, "Allow", r->allow);
    if (r->status == 401) add_header(response, "WWW-Authenticate", "Bearer");
    /* Client libraries repeat these by themselves, and would only cause the same work for the same end: its
     * time was not enough, or it cannot be generated. (Of 429 and 503 they should: Retry-After says when.) */
    if (r->status == 408 || r->status == 500) add_header(response, "x-should-retry", "false");
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

static enum MHD_Result queue_preflight(struct request *r) {
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!response) return MHD_NO;
    add_header(response, "Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS");
    add_header(response, "Access-Control-Allow-Headers", "Authorization, Content-Type, X-Request-Id");
    add_header(response, "Access-Control-Max-Age", "600");
    r->status = 204;
    return queue(r, response);
}

/* ---- callbacks of libmicrohttpd ------------------------------------------------------------------------ */

/* The request is complete, or goes on after it was suspended. */
static enum MHD_Result proceed(struct request *r) {
    if (r->state == REQUEST_RECEIVING) {
        if (r->error.kind != API_OK)
            request_fail(r);
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

/* A client that waits for "100 Continue", or wants to send far too much, is answered at once; libmicrohttpd
 * then closes the connection. */
static bool must_refuse_now(struct request *r) {
    const char *length = header(r, "Content-Length");
    if (r->error.kind == API_OK) return false;
    return header(r, "Expect") || (length && strtoull(length, NULL, 10) > DISCARD_BYTES_MAX);
}

static enum MHD_Result begin(struct service *s, struct MHD_Connection *mhd, const char *method,
                             const char *path, void **context) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *connection = info ? info->socket_context : NULL;
    struct request *r = connection ? request_create(s, connection, mhd) : NULL;
    if (!r) return MHD_NO;
    *context = r;
    connection->request = r;
    set_id(r);
    if (s->config->cors_origin && strcmp(method, "OPTIONS") == 0) {
        r->is_preflight = true;
        return MHD_YES;
    }
    check_header(r, method, path);
    if (!must_refuse_now(r)) return MHD_YES;
    r->must_close = true;
    return proceed(r);
}

static enum MHD_Result on_request(void *service, struct MHD_Connection *mhd, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_length, void **context) {
    struct request *r = *context;
    (void)version;
    if (!r) return begin(service, mhd, method, path, context);
    if (*data_length) {
        bool ok = receive(r, data, *data_length);
        *data_length = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    return r->is_preflight ? queue_preflight(r) : proceed(r);
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
    if (why != MHD_REQUEST_TERMINATED_COMPLETED_OK && !r->connection->is_cut && s->phase != SERVICE_STOPPING)
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
                                   {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (s->tls.pair) flags |= MHD_USE_TLS;
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, s, MHD_OPTION_LISTEN_SOCKET,
        s->listener.fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->connections_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)timeout, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, s, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, s, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
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
    for (struct request *r = s->requests, *next; r; r = next) {
        next = r->next;
        request_release(r);
    }
}
