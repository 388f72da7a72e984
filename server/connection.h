/* Connections: how long each has been silent, and whether its client is still there. libmicrohttpd tells
 * nothing about a suspended connection, and its timeout is renewed by every byte; so the loop watches the
 * sockets itself. */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "server/http_check.h"
#include "server/service.h"

struct connection {
    struct service *service;
    struct connection *next, *previous;
    struct request *request; /* NULL between requests */
    uv_poll_t poll;
    int fd;
    bool has_poll, has_ended, is_cut; /* has_ended: the client sends no more */
    bool must_linger;                 /* the client may be sending when the server closes */
    struct http_line line;            /* of `request`; its texts are libmicrohttpd's */
    uint64_t since_ns;                /* the start, or the end of the last request */
    uint64_t ended_ns;
};

/* Watches the socket: from the end of file on, a request that waits for the engine counts as abandoned. NULL
 * when there is no memory. */
struct connection *connection_create(struct service *s, int fd);
void connection_destroy(struct connection *c);

/* Ends those that were silent or slow for too long, cancels streams whose client does not read, sends pings.
 */
void connection_sweep(struct service *s);
