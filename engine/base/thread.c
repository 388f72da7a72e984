#include "engine/base/thread.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>

static atomic_bool any_abandoned;

/* All but the synchronous ones. */
static void signals_from_outside(sigset_t *set) {
    static const int synchronous[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigfillset(set);
    for (size_t i = 0; i < sizeof synchronous / sizeof *synchronous; i++) sigdelset(set, synchronous[i]);
}

void thread_block_signals(sigset_t *before) {
    sigset_t outside;
    signals_from_outside(&outside);
    pthread_sigmask(SIG_SETMASK, &outside, before);
}

enum status thread_reserve_stack(struct error *e) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= THREAD_STACK_BYTES) return STATUS_OK;
    const size_t before = (size_t)limit.rlim_cur;
    limit.rlim_cur = THREAD_STACK_BYTES;
    if (limit.rlim_max >= THREAD_STACK_BYTES && setrlimit(RLIMIT_STACK, &limit) == 0) return STATUS_OK;
    return error_set(e, STATUS_LIMIT, "stack", "may take %zu KiB (ulimit -s), and at least %zu are needed",
                     before >> 10, THREAD_STACK_BYTES >> 10);
}

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *context), void *context) {
    return thread_start_small(thread, name, 0, run, context);
}

/* 0: what a thread has by itself, if that is enough. */
static int set_stack(pthread_attr_t *attributes, size_t bytes) {
    size_t usual = 0;
    if (bytes == 0) {
        pthread_attr_getstacksize(attributes, &usual);
        if (usual >= THREAD_STACK_BYTES) return 0;
        bytes = THREAD_STACK_BYTES;
    }
    return pthread_attr_setstacksize(attributes, bytes);
}

int thread_start_small(pthread_t *thread, const char *name, size_t stack_bytes, void *(*run)(void *context),
                       void *context) {
    sigset_t before;
    pthread_attr_t attributes;
    int problem = pthread_attr_init(&attributes);
    if (problem) return problem;
    problem = set_stack(&attributes, stack_bytes);
    thread_block_signals(&before);
    if (!problem) problem = pthread_create(thread, &attributes, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (!problem && name) pthread_setname_np(*thread, name);
    return problem;
}

void thread_abandon(pthread_t thread) {
    atomic_store(&any_abandoned, true);
    pthread_detach(thread);
}

bool thread_any_abandoned(void) {
    return atomic_load(&any_abandoned);
}

/* Waits until all have been started. */
static void *wait_for_all(void *context) {
    pthread_mutex_t *started = context;
    pthread_mutex_lock(started);
    pthread_mutex_unlock(started);
    return NULL;
}

int thread_try(size_t count) {
    pthread_mutex_t started = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *threads = calloc(count + 1, sizeof *threads);
    if (!threads) return ENOMEM;
    int problem = 0;
    size_t running = 0;
    pthread_mutex_lock(&started);
    for (; running < count && !problem; running += !problem)
        problem = thread_start(&threads[running], NULL, wait_for_all, &started);
    pthread_mutex_unlock(&started);
    for (size_t i = 0; i < running; i++) pthread_join(threads[i], NULL);
    free(threads);
    return problem;
}
