#include "server/http/linger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Long enough for the answer to cross an ocean twice. A client that sends on after it has the answer is not
 * worth more; so many descriptors are kept free beside the connections. */
enum { LINGER_SECONDS = 2, LINGER_BYTES_MAX = 16 << 20, LINGER_SOCKETS_MAX = 64 };

struct linger_socket {
    struct service *service;
    struct linger_socket *next, *previous;
    uv_poll_t poll;
    uv_timer_t timer;
    int fd;
    unsigned open_handles;
    size_t dropped;
};

static void on_closed(uv_handle_t *handle) {
    struct linger_socket *l = handle->data;
    if (--l->open_handles == 0) free(l);
}

static void end(struct linger_socket *l) {
    struct service *s = l->service;
    if (l->next) l->next->previous = l->previous;
    if (l->previous)
        l->previous->next = l->next;
    else
        s->lingering = l->next;
    s->lingering_count--;
    uv_close((uv_handle_t *)&l->poll, on_closed);
    uv_close((uv_handle_t *)&l->timer, on_closed);
    close(l->fd);
}

/* false: there is nothing more to wait for. */
static bool drop(struct linger_socket *l) {
    char waste[16384];
    ssize_t length;
    while ((length = recv(l->fd, waste, sizeof waste, MSG_DONTWAIT)) > 0) {
        l->dropped += (size_t)length;
        if (l->dropped >= LINGER_BYTES_MAX) return false;
    }
    return length < 0 && (errno == EAGAIN || errno == EINTR);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    struct linger_socket *l = poll->data;
    (void)events;
    if (status < 0 || !drop(l)) end(l);
}

static void on_timer(uv_timer_t *timer) {
    end(timer->data);
}

static void watch(struct service *s, struct linger_socket *l) {
    l->service = s;
    l->next = s->lingering;
    if (l->next) l->next->previous = l;
    s->lingering = l;
    s->lingering_count++;
    l->poll.data = l->timer.data = l;
    l->open_handles = 2;
    uv_timer_init(&s->loop.uv, &l->timer);
    uv_timer_start(&l->timer, on_timer, LINGER_SECONDS * 1000, 0);
    uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

void linger_start(struct service *s, int fd) {
    if (s->lingering_count >= LINGER_SOCKETS_MAX) return;
    struct linger_socket *l = calloc(1, sizeof *l);
    if (!l) return;
    l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (l->fd < 0 || uv_poll_init(&s->loop.uv, &l->poll, l->fd) != 0) {
        if (l->fd >= 0) close(l->fd);
        free(l);
        return;
    }
    shutdown(l->fd, SHUT_WR);
    watch(s, l);
}

void linger_end_all(struct service *s) {
    while (s->lingering) end(s->lingering);
}
