#include "server/service/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/log.h"

static uint64_t number_of(const char *name) {
    const char *text = getenv(name);
    char *end;
    if (!text || text[0] < '0' || text[0] > '9') return 0;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    return *end || errno ? 0 : value;
}

/* A path, or '@' and the name of an abstract socket. */
static bool set_address(struct notify *n, const char *path) {
    size_t length = strlen(path);
    n->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((path[0] != '/' && path[0] != '@') || length >= sizeof n->address.sun_path) return false;
    memcpy(n->address.sun_path, path, length);
    if (path[0] == '@') n->address.sun_path[0] = '\0';
    n->address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '/'));
    return true;
}

static void read_watchdog(struct notify *n) {
    uint64_t pid = number_of("WATCHDOG_PID"), us = number_of("WATCHDOG_USEC");
    if ((getenv("WATCHDOG_PID") && pid != (uint64_t)getpid()) || us > UINT64_MAX / 1000) return;
    n->watchdog_ns = us * 1000;
}

void notify_init(struct notify *n) {
    const char *path = getenv("NOTIFY_SOCKET");
    *n = (struct notify){.fd = -1};
    if (!path) return;
    if (set_address(n, path)) n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n->fd < 0)
        log_warn("NOTIFY_SOCKET '%s' cannot be used: the service manager is told nothing", path);
    else
        read_watchdog(n);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_deinit(struct notify *n) {
    if (n->fd >= 0) close(n->fd);
    n->fd = -1;
}

static void flush(struct notify *n) {
    size_t length = strlen(n->unsent);
    if (!length) return;
    ssize_t sent = sendto(n->fd, n->unsent, length, MSG_NOSIGNAL | MSG_DONTWAIT,
                          (const struct sockaddr *)&n->address, n->address_length);
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)) return;
    if (sent < 0) log_debug("the service manager cannot be told: %s", strerror(errno));
    n->unsent[0] = '\0';
}

/* Where it does not fit behind what was not sent, that goes: what is newer counts. */
void notify_send(struct notify *n, const char *format, ...) {
    char text[sizeof n->unsent / 2];
    if (n->fd < 0) return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t length = strlen(n->unsent);
    if (length + strlen(text) + 2 > sizeof n->unsent) length = 0;
    snprintf(n->unsent + length, sizeof n->unsent - length, "%s%s", length ? "\n" : "", text);
    flush(n);
}

void notify_reloading(struct notify *n, uint64_t now_ns) {
    notify_send(n, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reading keys and certificates again",
                (unsigned long long)(now_ns / 1000));
}

void notify_tick(struct notify *n, uint64_t now_ns, bool is_alive) {
    if (n->fd < 0) return;
    flush(n);
    if (!is_alive || !n->watchdog_ns || now_ns - n->fed_ns < n->watchdog_ns / 2) return;
    n->fed_ns = now_ns;
    notify_send(n, "WATCHDOG=1");
}
