/* One HTTP request from its header to the last byte of its answer. Belongs to the loop thread; while it is
 * PREPARING or WRITING its body, completion, error and answer belong to the uv pool. Counted: libmicrohttpd's
 * connection holds it until the answer is complete, work in the pool until it is back on the loop. */
#pragma once

#include <microhttpd.h>
#include <uv.h>

#include "server/api/api_error.h"
#include "server/api/params.h"
#include "server/completion/completion.h"
#include "server/http/reply.h"
#include "server/http/request_record.h"
#include "server/http/route.h"
#include "server/json/bytes.h"
#include "server/service/service.h"

struct connection;

enum http_request_state {
    REQUEST_RECEIVING, /* the body is coming */
    REQUEST_PREPARING, /* in the uv pool */
    REQUEST_RUNNING,   /* admitted by the engine, no answer has begun */
    REQUEST_WRITING,   /* all has been generated; a large answer is written in the uv pool */
    REQUEST_ANSWERED,  /* the whole answer is there */
    REQUEST_STREAMING, /* the answer has begun and goes on in `reply` */
    REQUEST_GONE,      /* nothing more is sent */
};

struct http_request {
    struct service *service;
    struct http_request *next, *previous;
    struct connection *connection; /* NULL once libmicrohttpd has done with it */
    struct MHD_Connection *mhd;
    const struct route *route; /* NULL: none, `error` says why */
    enum http_request_state state;
    unsigned holders;
    bool is_suspended, is_preflight;
    bool must_close;                       /* say Connection: close */
    bool is_answered_late;                 /* see late_answer.h; what still comes is dropped */
    char id[API_REQUEST_ID_BYTES_MAX + 1]; /* X-Request-Id */
    char method[ACCESS_METHOD_BYTES_MAX + 1], path[ACCESS_PATH_BYTES_MAX + 1]; /* as far as they are told */
    char *tail; /* what follows the path of a prefix route */
    const char *allow;
    size_t key; /* that it was let in by (keys.h) */
    uint64_t begun_ns;
    uint64_t client;
    bool is_counted; /* among those of its client */

    struct bytes body;
    size_t body_ticket;     /* bytes taken from the admission */
    size_t discarded;       /* bytes of a body that is refused */
    struct api_error error; /* refused, or failed: not API_OK */

    unsigned status;
    const char *content_type;
    const char *content_policy; /* for browsers, borrowed from the service; NULL: none */
    struct bytes answer;
    size_t answer_taken; /* of the memory for answers: while the answer is sent */
    struct reply reply;
    struct completion *completion;
    struct request_record record;

    struct work work;
    void (*run)(struct http_request *r);
    void (*done)(struct http_request *r);
};

struct http_request *http_request_create(struct service *s, struct connection *connection,
                                         struct MHD_Connection *mhd);
void http_request_retain(struct http_request *r);
void http_request_release(struct http_request *r);

/* Only legal moves; anything else is a bug. */
void http_request_move(struct http_request *r, enum http_request_state state);

/* Runs `run` in the uv pool, then `done` on the loop if the client is still there; a large body waits for its
 * turn. Without a ticket the request is answered 429. run may touch body, completion, error and answer,
 * nothing else. */
void http_request_work(struct http_request *r, void (*run)(struct http_request *r),
                       void (*done)(struct http_request *r));

/* The same for an answer that takes long to write, of a request that runs: it needs no ticket any more. */
void http_request_write(struct http_request *r, void (*run)(struct http_request *r),
                        void (*done)(struct http_request *r));

/* Takes so much of the memory for answers, or gives back what was taken beyond, until the request ends.
 * false: there is no room; nothing has changed then. */
bool http_request_take_for_answer(struct http_request *r, size_t bytes);

/* The answer is in r->answer; where there is no room for it in the memory for answers, it
 * is refused. */
void http_request_answer(struct http_request *r, unsigned status, const char *content_type);
/* The answer is r->error. */
void http_request_fail(struct http_request *r);
/* The answer is that there is no memory for one of so many bytes: 429, or 413 where there never is. */
void http_request_fail_memory(struct http_request *r, size_t bytes);
/* The answer begins, status 200, and continues in r->reply. */
void http_request_stream(struct http_request *r);

/* The client has left, or is cut off: nothing more is generated for it. */
void http_request_abandon(struct http_request *r);

/* For http.c and response.c: waits outside libmicrohttpd, and goes on. Where the client has left already it does not
 * wait: then the request is abandoned and the result false. */
bool http_request_suspend(struct http_request *r);
void http_request_resume(struct http_request *r);
