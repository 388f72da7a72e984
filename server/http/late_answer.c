#include "server/http/late_answer.h"

#include <gnutls/gnutls.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "server/http/connection.h"

/* As RFC 9110 writes times, whatever the locale. */
static void write_date(struct bytes *out) {
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm t;
    gmtime_r(&now, &t);
    bytes_format(out, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n", days + 3 * t.tm_wday, t.tm_mday,
                 months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static void write_cors(struct bytes *out, const char *origin) {
    if (!origin) return;
    bytes_format(out, "Access-Control-Allow-Origin: %s\r\n", origin);
    if (strcmp(origin, "*") != 0) bytes_text(out, "Vary: Origin\r\n");
}

static void write_answer(struct bytes *out, const struct http_request *r, const struct api_error *e) {
    struct bytes body = {0};
    unsigned status = api_error_status(e->kind);
    api_error_write(&body, e);
    bytes_format(out, "HTTP/1.1 %u %s\r\n", status, MHD_get_reason_phrase_for(status));
    bytes_format(out, "Content-Type: application/json\r\nX-Request-Id: %s\r\n", r->id);
    write_date(out);
    if (api_error_is_final(status)) bytes_text(out, "x-should-retry: false\r\n");
    write_cors(out, r->service->config->cors_origin);
    bytes_format(out, "Content-Length: %zu\r\nConnection: close\r\n\r\n", body.length);
    if (strcmp(r->connection->line.method, "HEAD") != 0) bytes_append_bytes(out, &body);
    out->failed |= body.failed;
    bytes_deinit(&body);
}

static bool send_whole(const struct http_request *r, const struct bytes *answer) {
    const union MHD_ConnectionInfo *info =
        r->service->tls.pair ? MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
    ssize_t sent = info ? gnutls_record_send(info->tls_session, answer->data, answer->length)
                        : send(r->connection->fd, answer->data, answer->length, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent == (ssize_t)answer->length;
}

void late_answer_send(struct http_request *r, const struct api_error *e) {
    struct bytes answer = {0};
    if (r->is_answered_late) return;
    r->is_answered_late = true;
    write_answer(&answer, r, e);
    r->service->stats.rejected[e->kind]++;
    r->record.failure = e->kind;
    r->status = api_error_status(e->kind);
    if (!answer.failed && send_whole(r, &answer))
        http_stats_count_answer(&r->service->stats, route_number(r->service->routes, r->route),
                                api_error_status(e->kind));
    bytes_deinit(&answer);
}
