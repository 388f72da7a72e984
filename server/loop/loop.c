#include "server/loop/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/thread.h"
#include "engine/types/limits.h"

/* As libuv has them without UV_THREADPOOL_SIZE. */
#define POOL_THREADS 4

static const int signal_numbers[3] = {SIGTERM, SIGINT, SIGHUP};

/* ---- how long calls take ------------------------------------------------------------------------------- */

struct loop_moment loop_call_begin(void) {
    return (struct loop_moment){.ns = clock_ns(), .cpu_ns = clock_thread_ns()};
}

void loop_call_end(struct loop *l, enum loop_call call, struct loop_moment begin) {
    struct loop_figures *f = &l->figures[call];
    uint64_t cpu_ns = clock_thread_ns() - begin.cpu_ns, ns = clock_ns() - begin.ns;
    f->count++;
    f->sum_ns += ns;
    if (ns > f->max_ns) f->max_ns = ns;
    if (cpu_ns > f->cpu_max_ns) f->cpu_max_ns = cpu_ns;
}

const char *loop_call_name(enum loop_call call) {
    static const char *const names[LOOP_CALL_COUNT] = {
        [LOOP_CALL_HTTP] = "http", [LOOP_CALL_WAKE] = "wake",     [LOOP_CALL_TICK] = "tick",
        [LOOP_CALL_WORK] = "work", [LOOP_CALL_SIGNAL] = "signal", [LOOP_CALL_CONNECTION] = "connection"};
    return names[call];
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static void run_http(struct loop *l) {
    struct loop_moment begin = loop_call_begin();
    l->http_again = false;
    if (l->daemon) MHD_run(l->daemon);
    loop_call_end(l, LOOP_CALL_HTTP, begin);
}

static void on_http(uv_poll_t *handle, int status, int events) {
    (void)status, (void)events;
    run_http(handle->data);
}

static void on_http_timer(uv_timer_t *handle) {
    run_http(handle->data);
}

/* Before each wait: libmicrohttpd may have become ready, or nearer to a timeout, by anything that was done
 * since. */
static void on_prepare(uv_prepare_t *handle) {
    struct loop *l = handle->data;
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    if (l->http_again)
        uv_timer_start(&l->http_timer, on_http_timer, 0, 0);
    else if (l->daemon && MHD_get_timeout(l->daemon, &timeout_ms) == MHD_YES)
        uv_timer_start(&l->http_timer, on_http_timer, timeout_ms, 0);
    else
        uv_timer_stop(&l->http_timer);
}

static void on_wake(uv_async_t *handle) {
    struct loop *l = handle->data;
    struct loop_moment begin = loop_call_begin();
    l->callbacks.wake(l->callbacks.context);
    loop_call_end(l, LOOP_CALL_WAKE, begin);
}

static void on_tick(uv_timer_t *handle) {
    struct loop *l = handle->data;
    struct loop_moment begin = loop_call_begin();
    l->callbacks.tick(l->callbacks.context);
    loop_call_end(l, LOOP_CALL_TICK, begin);
}

static void on_signal(uv_signal_t *handle, int number) {
    struct loop *l = handle->data;
    struct loop_moment begin = loop_call_begin();
    l->callbacks.signal(l->callbacks.context, number);
    loop_call_end(l, LOOP_CALL_SIGNAL, begin);
}

static int init_handles(struct loop *l) {
    int result = uv_timer_init(&l->uv, &l->http_timer);
    if (!result) result = uv_timer_init(&l->uv, &l->tick);
    if (!result) result = uv_prepare_init(&l->uv, &l->http_prepare);
    if (!result) result = uv_async_init(&l->uv, &l->wake, on_wake);
    l->http_timer.data = l->tick.data = l->http_prepare.data = l->wake.data = l;
    for (int i = 0; i < 3 && !result; i++) {
        result = uv_signal_init(&l->uv, &l->signals[i]);
        l->signals[i].data = l;
        if (!result) result = uv_signal_start(&l->signals[i], on_signal, signal_numbers[i]);
    }
    if (!result) result = uv_timer_start(&l->tick, on_tick, LOOP_TICK_MS, LOOP_TICK_MS);
    if (!result) result = uv_prepare_start(&l->http_prepare, on_prepare);
    return result;
}

static void pool_work(uv_work_t *work) {
    (void)work;
}

static void pool_started(uv_work_t *work, int status) {
    (void)work, (void)status;
}

/* libuv starts its pool when it is first needed, and aborts where that fails: so now, and only where it can. */
static enum status start_pool(struct loop *l, struct error *e) {
    static uv_work_t first; /* the pool is that of the process */
    const char *size = getenv("UV_THREADPOOL_SIZE");
    long threads = size ? strtol(size, NULL, 10) : POOL_THREADS;
    threads = threads < 1 ? 1 : threads > POOL_THREADS_MAX ? POOL_THREADS_MAX : threads;
    int problem = thread_try((size_t)threads);
    if (problem)
        return error_set(e, STATUS_LIMIT, "event loop", "its %ld threads cannot be started: %s", threads,
                         strerror(problem));
    sigset_t before;
    thread_block_signals(&before);
    int result = uv_queue_work(&l->uv, &first, pool_work, pool_started);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!result) return STATUS_OK;
    return error_set(e, STATUS_IO, "event loop", "its pool cannot be started: %s", uv_strerror(result));
}

enum status loop_init(struct loop *l, const struct loop_callbacks *callbacks, struct error *e) {
    *l = (struct loop){.callbacks = *callbacks};
    int result = uv_loop_init(&l->uv);
    if (result) return error_set(e, STATUS_IO, "event loop", "cannot be made: %s", uv_strerror(result));
    result = init_handles(l);
    enum status status = STATUS_OK;
    if (result) status = error_set(e, STATUS_IO, "event loop", "cannot be set up: %s", uv_strerror(result));
    if (status == STATUS_OK) status = start_pool(l, e);
    if (status != STATUS_OK) loop_deinit(l);
    return status;
}

enum status loop_attach(struct loop *l, struct MHD_Daemon *daemon, struct error *e) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int result = info ? uv_poll_init(&l->uv, &l->http, info->epoll_fd) : UV_EINVAL;
    if (!result) {
        l->http.data = l;
        result = uv_poll_start(&l->http, UV_READABLE, on_http);
    }
    if (result)
        return error_set(e, STATUS_IO, "event loop", "cannot watch the listener: %s", uv_strerror(result));
    l->daemon = daemon;
    return STATUS_OK;
}

void loop_detach(struct loop *l) {
    if (!l->daemon) return;
    l->daemon = NULL;
    uv_timer_stop(&l->http_timer);
    uv_close((uv_handle_t *)&l->http, NULL);
}

void loop_http_again(struct loop *l) {
    l->http_again = true;
}

void loop_run(struct loop *l) {
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_run_once(struct loop *l) {
    uv_run(&l->uv, UV_RUN_ONCE);
}

void loop_stop(struct loop *l) {
    uv_stop(&l->uv);
}

void loop_wake(struct loop *l) {
    uv_async_send(&l->wake);
}

static void close_handle(uv_handle_t *handle, void *context) {
    (void)context;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

void loop_deinit(struct loop *l) {
    uv_walk(&l->uv, close_handle, NULL);
    /* uv_stop may still be pending from the run that ended; it ends only one more. */
    while (uv_run(&l->uv, UV_RUN_DEFAULT)) continue;
    int result = uv_loop_close(&l->uv);
    assert(result == 0);
}
