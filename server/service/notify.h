/* What a service manager is told, by systemd's protocol of datagrams to the socket that NOTIFY_SOCKET names: READY,
 * RELOADING, STOPPING, STATUS, and the watchdog. Without such a socket everything here does nothing. Nobody waits for
 * the manager: what its socket has no room for is sent again with the next. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    int fd; /* -1: there is no manager */
    struct sockaddr_un address;
    socklen_t address_length;
    uint64_t watchdog_ns; /* how often the manager wants to hear; 0: it does not */
    uint64_t fed_ns;      /* when it last did */
    char unsent[1024];
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment: they are for this
 * process alone. A socket that cannot be used is said in the log. */
void notify_init(struct notify *n);
void notify_deinit(struct notify *n);

/* One or more lines NAME=value. */
void notify_send(struct notify *n, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* RELOADING, with the time that the manager compares; READY ends it. */
void notify_reloading(struct notify *n, uint64_t now_ns);

/* In each tick: sends what was left, and feeds the watchdog if everything is alive, twice as often as it asks for. */
void notify_tick(struct notify *n, uint64_t now_ns, bool is_alive);
