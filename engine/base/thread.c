#include "engine/base/thread.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

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

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *context), void *context) {
    return thread_start_small(thread, name, 0, run, context);
}

int thread_start_small(pthread_t *thread, const char *name, size_t stack_bytes, void *(*run)(void *context),
                       void *context) {
    sigset_t before;
    pthread_attr_t attributes;
    int problem = pthread_attr_init(&attributes);
    if (problem) return problem;
    if (stack_bytes > 0) problem = pthread_attr_setstacksize(&attributes, stack_bytes);
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
