#include "server/http/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "server/http/connection.h"
#include "server/http/late_answer.h"
#include "server/http/linger.h"
#include "server/http/request_body.h"
#include "server/http/request_head.h"
#include "server/http/response.h"

/* ---- callbacks of libmicrohttpd ------------------------------------------------------------------------ */

/* The request is complete, or goes on after it was suspended. */
static enum MHD_Result proceed(struct http_request *r) {
    if (r->state == REQUEST_RECEIVING) {
        if (r->error.kind != API_OK)
            http_request_fail(r);
        else if (r->is_preflight)
            return response_queue_preflight(r);
        else
            r->route->handle(r);
    }
    switch (r->state) {
    case REQUEST_ANSWERED:
        return response_queue_answer(r);
    case REQUEST_STREAMING:
        return response_queue_stream(r);
    case REQUEST_GONE:
        return MHD_NO;
    case REQUEST_RECEIVING:
    case REQUEST_PREPARING:
    case REQUEST_RUNNING:
    case REQUEST_WRITING:
        break;
    }
    return http_request_suspend(r) ? MHD_YES : MHD_NO;
}

static enum MHD_Result begin(struct service *s, struct MHD_Connection *mhd, const char *method,
                             const char *target, const char *version, void **context) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *connection = info ? info->socket_context : NULL;
    struct http_request *r = connection ? http_request_create(s, connection, mhd) : NULL;
    if (!r) return MHD_NO;
    *context = r;
    connection_ask(connection, r);
    connection->line.method = method;
    snprintf(r->method, sizeof r->method, "%s", method);
    snprintf(r->path, sizeof r->path, "%s", target);
    connection->line.version = version;
    request_head_set_id(r);
    request_head_check(r, method, target);
    if (!request_head_must_refuse_now(r)) return request_head_waits_for_nothing(r) ? proceed(r) : MHD_YES;
    r->must_close = connection->must_linger = true;
    if (!request_head_is_unreadable(r)) return proceed(r);
    late_answer_send(r, &r->error);
    return MHD_NO;
}

static enum MHD_Result on_request(void *service, struct MHD_Connection *mhd, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_length, void **context) {
    struct http_request *r = *context;
    if (!r) return begin(service, mhd, method, path, version, context);
    if (*data_length) {
        bool ok = request_body_receive(r, data, *data_length);
        *data_length = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    return proceed(r);
}

static void on_completed(void *service, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode why) {
    struct service *s = service;
    struct http_request *r = *context;
    (void)mhd;
    if (!r) return;
    *context = NULL;
    r->connection->request = NULL;
    r->connection->since_ns = clock_ns();
    if (why != MHD_REQUEST_TERMINATED_COMPLETED_OK && !r->connection->is_cut && !r->is_answered_late &&
        s->phase != SERVICE_STOPPING)
        s->stats.disconnects++;
    r->is_suspended = false;
    request_record_write(r, why == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    http_request_abandon(r);
    r->connection = NULL;
    r->mhd = NULL;
    http_request_release(r);
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

/* A NUL would end the path before its end; left as it is, "%00" is not a path of ours. */
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
    if (listener_begin(&s->listener, e) != STATUS_OK) return STATUS_IO;
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

void http_stop_listening(struct service *s) {
    struct sockaddr_storage address;
    int listener = s->daemon ? MHD_quiesce_daemon(s->daemon) : MHD_INVALID_SOCKET;
    if (listener == MHD_INVALID_SOCKET) return;
    for (int fd = 0; !s->listener.is_inherited && fd >= 0;) {
        socklen_t length = sizeof address;
        fd = accept4(listener, (struct sockaddr *)&address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            MHD_add_connection(s->daemon, fd, (struct sockaddr *)&address,
                               length); /* closes it if it fails */
    }
    close(listener);
    loop_http_again(&s->loop);
}

void http_stop(struct service *s) {
    if (!s->daemon) return;
    for (struct http_request *r = s->requests; r; r = r->next) {
        http_request_retain(r);
        if (r->state != REQUEST_GONE) r->record.cut_by = "shutdown";
        http_request_abandon(r);
    }
    loop_detach(&s->loop);
    MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    linger_end_all(s);
    for (struct http_request *r = s->requests, *next; r; r = next) {
        next = r->next;
        http_request_release(r);
    }
}
