/* The loop thread: a libuv loop around libmicrohttpd, which has no threads of its own here. Its epoll
 * descriptor is polled, and the time it asks for is kept by a timer that is set before each wait. Everything
 * but loop_wake is for the loop thread. */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <uv.h>

#include "engine/base/error.h"

/* What the loop calls, always on its own thread. */
struct loop_callbacks {
    void (*wake)(void *context); /* after loop_wake; several calls may be answered once */
    void (*tick)(void *context); /* every LOOP_TICK_MS */
    void (*signal)(void *context, int number);
    void *context;
};

enum { LOOP_TICK_MS = 250 };

/* What the loop thread is called for. While one of them runs, everybody else waits. */
enum loop_call {
    LOOP_CALL_HTTP, /* libmicrohttpd: all connections that are ready */
    LOOP_CALL_WAKE, /* events of the engine */
    LOOP_CALL_TICK,
    LOOP_CALL_WORK, /* something has come back from the pool */
    LOOP_CALL_SIGNAL,
    LOOP_CALL_CONNECTION, /* a client may have left */
    LOOP_CALL_COUNT
};

/* The longest by the clock, and by the processor's time of the loop thread: a busy machine makes the first longer, only
 * what is done makes the second so. */
struct loop_figures {
    uint64_t count, sum_ns, max_ns, cpu_max_ns;
};

struct loop_moment {
    uint64_t ns, cpu_ns;
};

struct loop {
    uv_loop_t uv;
    uv_poll_t http;
    uv_timer_t http_timer, tick;
    uv_prepare_t http_prepare;
    uv_async_t wake;
    uv_signal_t signals[3];
    struct MHD_Daemon *daemon; /* borrowed */
    bool http_again;           /* the daemon has work that it does not know of by its descriptors */
    struct loop_callbacks callbacks;
    struct loop_figures figures[LOOP_CALL_COUNT];
};

/* Signals SIGTERM, SIGINT and SIGHUP are caught from here to loop_deinit. On failure there is nothing to
 * deinit. */
enum status loop_init(struct loop *l, const struct loop_callbacks *callbacks, struct error *e);

/* Lets the loop drive the daemon; stops driving it. The daemon must be started with MHD_USE_EPOLL. */
enum status loop_attach(struct loop *l, struct MHD_Daemon *daemon, struct error *e);
void loop_detach(struct loop *l);

/* Has the daemon run once more, soon: after MHD_resume_connection, and when a place for a waiting connection
 * has become free. Without threads of its own it acts on both when it runs next, and wakes nobody for that.
 * Any number of calls share one run. */
void loop_http_again(struct loop *l);

/* Around what libuv calls on the loop thread: how long it took is counted. */
struct loop_moment loop_call_begin(void);
void loop_call_end(struct loop *l, enum loop_call call, struct loop_moment begin);
const char *loop_call_name(enum loop_call call);

/* Runs until loop_stop; waits for and handles the next thing only. */
void loop_run(struct loop *l);
void loop_run_once(struct loop *l);
void loop_stop(struct loop *l);

/* Any thread: has callbacks.wake called soon. */
void loop_wake(struct loop *l);

/* Closes all handles, waits for their ends and for work that still runs in the pool. */
void loop_deinit(struct loop *l);
