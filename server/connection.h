/* Connections: how long each has been silent, and whether its client is still there. libmicrohttpd tells
 * nothing about a suspended connection, and its timeout is renewed by every byte; so the loop watches the
 * sockets itself. */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "server/service.h"

struct connection {
    struct service *service;
    struct connection *next, *previous;
    struct request *request; /* NULL between requests */
    uv_poll_t poll;
    int fd;
    bool is_watched, has_poll, is_cut;
    uint64_t since_ns; /* the start, or the end of the last request */
};

/* NULL when there is no memory. */
struct connection *connection_create(struct service *s, int fd);
void connection_destroy(struct connection *c);

/* From now on the client's end of file counts as gone. */
void connection_watch(struct connection *c);

/* Of the request that has ended. */
void connection_unwatch(struct connection *c);

/* Ends those that were silent or slow for too long, cancels streams whose client does not read, sends pings.
 */
void connection_sweep(struct service *s);
