/* Connections: how long each has been silent, and whether its client is still there. libmicrohttpd tells
 * nothing about a suspended connection, and its timeout is renewed by every byte; so the loop watches the
 * sockets itself. */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "server/http/http_check.h"
#include "server/service/service.h"

struct connection {
    struct service *service;
    struct connection *next, *previous;
    struct http_request *request; /* NULL between requests */
    uv_poll_t poll;
    int fd;
    int watched;                      /* events of uv_poll_t */
    bool has_poll, has_ended, is_cut; /* has_ended: the client sends no more */
    bool has_asked;                   /* else it is a newcomer */
    bool is_watched, looks_again;     /* for the end of TLS; once more at the next sweep */
    bool is_unheard;                  /* what the client sends is no longer read */
    bool must_linger;                 /* the client may be sending when the server closes */
    struct http_line line;            /* of `request`; its texts are libmicrohttpd's */
    uint64_t opened_ns, ended_ns;
    uint64_t since_ns; /* the start, or the end of the last request */
};

/* Watches the socket: from the end of file on, a request that waits for the engine counts as abandoned. NULL
 * when there is no memory. */
struct connection *connection_create(struct service *s, int fd);
void connection_destroy(struct connection *c);

/* A request begins. */
void connection_ask(struct connection *c, struct http_request *r);

/* Under TLS: while the request waits, looks at what the client sends, since libmicrohttpd does not: an
 * orderly end counts as the end of file does. connection_rest: the request is over, libmicrohttpd reads
 * again. */
void connection_watch(struct connection *c);
void connection_rest(struct connection *c);

/* When the oldest connection was opened whose handshake may still go on; UINT64_MAX: there is none. */
uint64_t connection_oldest_handshake(const struct service *s);

/* Ends those that were silent or slow for too long, cancels streams whose client does not read, sends pings. */
void connection_sweep(struct service *s);
