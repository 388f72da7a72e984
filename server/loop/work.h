/* Work in libuv's pool of threads, in two lanes: what is large (bodies of megabytes) may take all of its
 * threads but two, and waits for its turn here, in the order of arrival; what is small never stands behind
 * it. How many may wait is bounded. Loop thread, but for `run`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "server/loop/loop.h"

/* Threads that large work leaves alone, where there are so many. */
enum { WORK_SPARED_THREADS = 2 };

struct work;

struct work_lanes {
    struct loop *loop;
    size_t held;                       /* of both lanes, in the pool or waiting */
    size_t large_max, large_running;   /* in the pool at once */
    size_t large_held_max, large_held; /* in the pool or waiting */
    struct work *first, *last;         /* large ones that wait */
};

/* Part of what the work is about, which must live until `done` is called. */
struct work {
    uv_work_t uv;
    struct work_lanes *lanes;
    struct work *next;
    bool is_large, is_waiting;
    void (*run)(void *context);  /* in the pool */
    void (*done)(void *context); /* on the loop */
    void *context;
};

/* threads: of libuv's pool. large_held_max: large ones that run or wait. */
void work_lanes_init(struct work_lanes *lanes, struct loop *loop, size_t threads, size_t large_held_max);

/* Whether one more large one may come. */
bool work_has_room(const struct work_lanes *lanes);

/* run, done and context are set by the caller. false: libuv has no memory for it; nothing happens then. */
bool work_start(struct work_lanes *lanes, struct work *work, bool is_large);

/* Takes a large one that still waits out again: it never runs, and done is not called. false: it does not
 * wait. */
bool work_withdraw(struct work *work);
