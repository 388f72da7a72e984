/* A service manager as systemd is one, for what the daemon tells it: a socket of datagrams. */
#pragma once

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/http/support_http.h"

enum { MANAGER_PATIENCE_MS = 120000 };

struct manager {
    int fd;
    char folder[40], path[60];
};

/* Daemons that are started from now on tell it. watchdog_us: how often it wants to hear; NULL: it does not. */
static inline void manager_open(struct manager *m, const char *watchdog_us) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(m->folder, "/tmp/prenorm-manager-XXXXXX");
    assert_non_null(mkdtemp(m->folder));
    snprintf(m->path, sizeof m->path, "%s/notify", m->folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", m->path);
    m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(m->fd >= 0);
    assert_int_equal(bind(m->fd, (const struct sockaddr *)&address, sizeof address), 0);
    setenv("NOTIFY_SOCKET", m->path, 1);
    if (watchdog_us) setenv("WATCHDOG_USEC", watchdog_us, 1);
}

static inline void manager_close(struct manager *m) {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    close(m->fd);
    unlink(m->path);
    rmdir(m->folder);
}

/* The next datagram, in static storage; NULL: none has come in so many milliseconds. */
static inline const char *manager_next(const struct manager *m, int milliseconds) {
    static char text[4096];
    struct pollfd readable = {.fd = m->fd, .events = POLLIN};
    if (poll(&readable, 1, milliseconds) != 1) return NULL;
    ssize_t length = recv(m->fd, text, sizeof text - 1, 0);
    assert_true(length > 0);
    text[length] = '\0';
    return text;
}

/* The next datagram that has the line; others are passed over, but for those that have `never` (NULL: any may come). */
static inline const char *manager_wait(const struct manager *m, const char *line, const char *never) {
    for (;;) {
        const char *text = manager_next(m, MANAGER_PATIENCE_MS);
        if (!text) fail_msg("the manager is not told %s", line);
        if (never && strstr(text, never)) fail_msg("the manager is told '%s' before '%s'", text, line);
        if (strstr(text, line)) return text;
    }
}
