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
};

/* host may be a name, an IPv4 or an IPv6 address. unix_socket, when not NULL, is used instead; a socket file
 * that nobody listens on any more is replaced, any other file is an error. scheme is "http" or "https". */
enum status listener_init(struct listener *l, const char *host, size_t port, const char *unix_socket,
                          const char *scheme, struct error *e);
void listener_deinit(struct listener *l);
