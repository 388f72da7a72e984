/* The listening socket: TCP address and port, or a Unix socket. Made here and not by libmicrohttpd, so that
 * an address in use is an error that says so. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

struct listener {
    int fd;           /* -1: none */
    char url[512];    /* "http://127.0.0.1:8080" or "unix:/run/prenorm.sock" */
    char *path;       /* of a Unix socket that listener_deinit removes; else NULL */
    bool is_loopback; /* nobody outside this machine can connect */
    /* Others listen there too, or will: a service manager, another process with reuse-port. Nothing is accepted
     * before the model is loaded, and who leaves gives the socket up, so that what comes is left to them. */
    bool is_shared;
    bool is_inherited; /* of these, from a service manager, who keeps it */
};

/* The socket that a service manager listens on already (LISTEN_FDS and LISTEN_PID, which are taken out of the
 * environment): *found tells whether there is one; host, port and unix_socket then do not count. STATUS_INVALID_ARGUMENT:
 * more than one, or none that is a listening stream socket. */
enum status listener_inherit(struct listener *l, const char *scheme, bool *found, struct error *e);

/* host may be a name, an IPv4 or an IPv6 address. reuse_port: SO_REUSEPORT, so that another process may listen there at
 * the same time. unix_socket, when not NULL, is used instead; a socket file that nobody listens on any more is replaced,
 * any other file is an error. scheme is "http" or "https". */
enum status listener_init(struct listener *l, const char *host, size_t port, bool reuse_port,
                          const char *unix_socket, const char *scheme, struct error *e);

/* Of a shared one, before anything is accepted: until then connections go to the others. */
enum status listener_begin(struct listener *l, struct error *e);

void listener_deinit(struct listener *l);
