#include "server/http/connection.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "server/http/http_request.h"
#include "server/http/late_answer.h"
#include "server/http/linger.h"
#include "server/http/sse.h"

static const uint64_t second_ns = 1000000000u;
static const uint64_t ping_ns = 15 * 1000000000ull;

/* ---- clients that leave -------------------------------------------------------------------------------- */

static void on_end(struct connection *c) {
    struct http_request *r = c->request;
    uv_poll_stop(&c->poll);
    c->has_ended = true;
    c->ended_ns = clock_ns();
    /* What has arrived before may still be on its way through libmicrohttpd. */
    if (!r || r->state == REQUEST_RECEIVING || r->state == REQUEST_ANSWERED || r->state == REQUEST_GONE)
        return;
    log_debug("request %s: the client has left", r->id);
    http_request_abandon(r);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct connection *c, int events) {
    c->watched = events;
    uv_poll_start(&c->poll, events, on_poll);
}

/* Under TLS a client may say that it leaves (close_notify) and keep the TCP connection. */
static void on_readable(struct connection *c) {
    switch (tls_look(c->request->mhd, c->fd)) {
    case TLS_ENDED:
        on_end(c);
        return;
    case TLS_NOTHING: /* the rest comes, or not: the sweep has it looked at again */
        c->looks_again = true;
        break;
    case TLS_UNUSABLE: /* what it sent cannot be given back to libmicrohttpd: no request follows on this
                          connection */
        c->request->must_close = c->is_unheard = true;
        break;
    case TLS_DATA: /* it sends requests ahead: what stands behind them is seen when they have been read */
        break;
    }
    watch(c, UV_DISCONNECT);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct connection *c = poll->data;
    struct loop_moment begin = loop_call_begin();
    if (status != 0 || events & UV_DISCONNECT)
        on_end(c);
    else if (c->request)
        on_readable(c);
    loop_call_end(&c->service->loop, LOOP_CALL_CONNECTION, begin);
}

void connection_watch(struct connection *c) {
    if (!c->has_poll || c->has_ended || c->is_watched || !c->service->tls.pair) return;
    c->is_watched = true;
    watch(c, UV_DISCONNECT | UV_READABLE);
}

void connection_rest(struct connection *c) {
    if (!c->is_watched) return;
    c->is_watched = c->looks_again = false;
    if (!c->has_ended && c->watched != UV_DISCONNECT) watch(c, UV_DISCONNECT);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

struct connection *connection_create(struct service *s, int fd) {
    struct connection *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->service = s;
    c->fd = fd;
    c->since_ns = c->opened_ns = clock_ns();
    c->next = s->connections;
    if (c->next) c->next->previous = c;
    s->connections = c;
    s->newcomers++;
    s->stats.connections++;
    s->stats.connections_opened++;
    c->poll.data = c;
    c->has_poll = uv_poll_init(&s->loop.uv, &c->poll, fd) == 0;
    if (c->has_poll) watch(c, UV_DISCONNECT);
    return c;
}

void connection_ask(struct connection *c, struct http_request *r) {
    c->request = r;
    if (!c->has_asked) c->service->newcomers--;
    c->has_asked = true;
}

static void on_poll_closed(uv_handle_t *handle) {
    free(handle->data);
}

/* Something that nobody has read, or may come yet. */
static bool must_linger(const struct connection *c) {
    int unread = 0;
    if (c->is_cut || c->service->phase == SERVICE_STOPPING) return false;
    return c->must_linger || (ioctl(c->fd, FIONREAD, &unread) == 0 && unread);
}

void connection_destroy(struct connection *c) {
    struct service *s = c->service;
    if (must_linger(c)) linger_start(s, c->fd);
    if (c->next) c->next->previous = c->previous;
    if (c->previous)
        c->previous->next = c->next;
    else
        s->connections = c->next;
    s->stats.connections--;
    if (!c->has_asked) s->newcomers--;
    service_end_drain(s);
    loop_http_again(&s->loop);
    if (c->has_poll)
        uv_close((uv_handle_t *)&c->poll, on_poll_closed);
    else
        free(c);
}

/* ---- the sweep ----------------------------------------------------------------------------------------- */

/* libmicrohttpd sees the end of file and closes. */
static void cut(struct connection *c) {
    c->is_cut = true;
    shutdown(c->fd, SHUT_RDWR);
}

static void answer_late_body(struct http_request *r) {
    struct api_error e;
    api_error_set(&e, API_TIMEOUT, NULL, "The body was not received in time.");
    late_answer_send(r, &e);
}

static void sweep_receiving(struct connection *c, uint64_t now) {
    const struct config *config = c->service->config;
    /* libmicrohttpd, edge-triggered, misses an end of file that comes together with the last bytes. */
    if (c->has_ended && now - c->ended_ns >= second_ns) {
        cut(c);
        return;
    }
    if (c->is_unheard) {
        cut(c); /* the answer has been sent */
        return;
    }
    uint64_t since = c->request ? c->request->begun_ns : c->since_ns;
    uint64_t limit = c->request ? config->read_timeout_seconds : config->idle_timeout_seconds;
    if (now - since < limit * second_ns) return;
    c->service->stats.connections_cut++;
    if (c->request) answer_late_body(c->request);
    cut(c);
}

static void sweep_stream(struct connection *c, uint64_t now) {
    struct http_request *r = c->request;
    bool is_full = !reply_has_room(&r->reply);
    if (is_full && now - r->reply.taken_ns >= c->service->config->stall_timeout_seconds * second_ns) {
        c->service->stats.stalled_readers++;
        log_info("request %s: cancelled, its client does not read", r->id);
        r->record.cut_by = "reader";
        http_request_abandon(r);
        cut(c);
        return;
    }
    if (r->reply.ended || reply_pending(&r->reply) || now - r->reply.appended_ns < ping_ns) return;
    sse_write_ping(&r->reply.bytes);
    reply_appended(&r->reply);
    http_request_resume(r);
}

uint64_t connection_oldest_handshake(const struct service *s) {
    uint64_t oldest_ns = UINT64_MAX;
    for (const struct connection *c = s->connections; c; c = c->next)
        if (!c->has_asked && c->opened_ns < oldest_ns) oldest_ns = c->opened_ns;
    return oldest_ns;
}

void connection_sweep(struct service *s) {
    uint64_t now = clock_ns();
    for (struct connection *c = s->connections; c; c = c->next) {
        if (c->is_cut) continue;
        if (c->looks_again && !c->has_ended) {
            c->looks_again = false;
            watch(c, UV_DISCONNECT | UV_READABLE);
        }
        if (!c->request || c->request->state == REQUEST_RECEIVING)
            sweep_receiving(c, now);
        else if (c->request->state == REQUEST_STREAMING)
            sweep_stream(c, now);
    }
}
