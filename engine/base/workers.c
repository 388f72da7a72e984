/* How a run works. The caller publishes the job (function, context) and then each worker's share of unclaimed
 * tiles; whoever makes a share shorter by one owns a tile, and only an owner reads the job. Workers take the
 * first tile of their own share or the last of another's. The caller returns when the number of unfinished
 * tiles is zero, so no owner is left when it publishes the next job, and a worker that wakes late finds
 * nothing to claim and has touched nothing. A run never waits for a worker that has no tile.
 *
 * Sleeping. Two futex words: `runs` counts runs and wakes workers, `unfinished` wakes the caller. Each
 * sleeper first announces itself and then lets the kernel compare the word; each waker first changes the word
 * and then looks for announced sleepers. All four are sequentially consistent, so at least one of the two
 * sees the other. */
#include "engine/base/workers.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/cgroup.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/thread.h"

#define SPIN_NS    20000u
#define CACHE_LINE 64

struct worker {
    struct workers *workers;
    size_t index;
    pthread_t thread;
    _Alignas(CACHE_LINE) _Atomic uint64_t unclaimed; /* of its share: see range_of() */
};

struct workers {
    /* The job: written by the caller between runs, read by owners of a tile. */
    workers_fn fn;
    void *context;
    bool spin;
    size_t count;    /* threads that run, the caller included */
    size_t capacity; /* of worker[] */

    _Alignas(CACHE_LINE) _Atomic uint32_t unfinished;
    _Atomic bool caller_sleeps;
    _Alignas(CACHE_LINE) _Atomic uint32_t runs;
    _Atomic uint32_t sleepers;
    _Atomic bool stopping;
    _Atomic uint32_t alone; /* tiles that the caller took without the others */

    struct worker worker[]; /* the first stands for the caller and has no thread */
};

static void futex_wait(_Atomic uint32_t *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, uint32_t sleepers) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, sleepers, NULL, NULL, 0);
}

static inline void spin_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Spins for a short while until *word is `value` (wanted) or is no longer `value` (not wanted). */
static bool spin_until(_Atomic uint32_t *word, uint32_t value, bool wanted) {
    uint64_t end = clock_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 16; i++) {
            if ((atomic_load_explicit(word, memory_order_acquire) == value) == wanted) return true;
            spin_pause();
        }
    } while (clock_ns() < end);
    return false;
}

/* A range of tiles in one word, so that both ends change at once. */
static uint64_t range_of(uint32_t first, uint32_t end) {
    return (uint64_t)end << 32 | first;
}

/* Claims the first or the last tile of a worker's share; false when all are claimed. The acquire pairs with
 * the release in publish(): the job that is read after a successful claim is the one whose tile was claimed. */
static bool claim_of(struct worker *owner, bool first, uint32_t *tile) {
    uint64_t left = atomic_load_explicit(&owner->unclaimed, memory_order_relaxed);
    for (;;) {
        uint32_t begin = (uint32_t)left, end = (uint32_t)(left >> 32);
        if (begin >= end) return false;
        *tile = first ? begin : end - 1;
        uint64_t rest = first ? range_of(begin + 1, end) : range_of(begin, end - 1);
        if (atomic_compare_exchange_weak_explicit(&owner->unclaimed, &left, rest, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    }
}

/* A tile of the worker's own share, else of the next one's that has any. */
static bool claim(struct workers *w, size_t worker, uint32_t *tile) {
    if (claim_of(&w->worker[worker], true, tile)) return true;
    for (size_t i = 1; i < w->count; i++)
        if (claim_of(&w->worker[(worker + i) % w->count], false, tile)) return true;
    return false;
}

/* Works until nothing is left to claim, and reports what it did at once. */
static void work(struct workers *w, size_t worker) {
    uint32_t tile, done = 0;
    for (; claim(w, worker, &tile); done++) w->fn(w->context, tile, worker);
    if (done == 0) return;
    /* Release: what the tiles wrote is visible to the caller once it sees zero. */
    if (atomic_fetch_sub(&w->unfinished, done) != done) return;
    if (worker != 0 && atomic_load(&w->caller_sleeps)) futex_wake(&w->unfinished, 1);
}

/* Returns the number of runs once it is no longer `seen`. */
static uint32_t wait_for_run(struct workers *w, uint32_t seen) {
    if (!w->spin || !spin_until(&w->runs, seen, false)) {
        atomic_fetch_add(&w->sleepers, 1);
        while (atomic_load(&w->runs) == seen) futex_wait(&w->runs, seen);
        atomic_fetch_sub(&w->sleepers, 1);
    }
    return atomic_load_explicit(&w->runs, memory_order_acquire);
}

static void *worker_main(void *argument) {
    struct worker *self = argument;
    struct workers *w = self->workers;
    for (uint32_t seen = 0;;) {
        seen = wait_for_run(w, seen);
        if (atomic_load_explicit(&w->stopping, memory_order_acquire)) return NULL;
        work(w, self->index);
    }
}

/* Lets workers know that something is new and wakes at most `wanted` of those that sleep. */
static void announce(struct workers *w, uint32_t wanted) {
    atomic_fetch_add(&w->runs, 1);
    uint32_t sleepers = atomic_load(&w->sleepers);
    if (sleepers > 0) futex_wake(&w->runs, wanted);
}

/* The caller has one of the first tiles even where there are fewer than workers. */
struct workers_share workers_share(const struct workers *w, size_t tiles, size_t worker) {
    uint64_t all = tiles;
    return (struct workers_share){
        .first = (all * worker + w->count - 1) / w->count,
        .end = (all * (worker + 1) + w->count - 1) / w->count,
    };
}

static void publish(struct workers *w, workers_fn fn, void *context, uint32_t tiles) {
    w->fn = fn;
    w->context = context;
    atomic_store_explicit(&w->unfinished, tiles, memory_order_relaxed);
    for (size_t i = 0; i < w->count; i++) {
        struct workers_share share = workers_share(w, tiles, i);
        atomic_store_explicit(&w->worker[i].unclaimed, range_of((uint32_t)share.first, (uint32_t)share.end),
                              memory_order_release);
    }
    announce(w, tiles - 1);
}

static void wait_until_finished(struct workers *w) {
    uint32_t left = atomic_load_explicit(&w->unfinished, memory_order_acquire);
    if (left == 0 || (w->spin && spin_until(&w->unfinished, 0, true))) return;
    atomic_store(&w->caller_sleeps, true);
    while ((left = atomic_load(&w->unfinished)) != 0) futex_wait(&w->unfinished, left);
    atomic_store(&w->caller_sleeps, false);
}

void workers_run(struct workers *w, workers_fn fn, void *context, size_t tiles) {
    assert(tiles <= UINT32_MAX);
    if (w->count == 1 || tiles <= 1) {
        for (size_t tile = 0; tile < tiles; tile++) {
            atomic_fetch_add_explicit(&w->alone, 1, memory_order_relaxed);
            fn(context, tile, 0);
        }
        return;
    }
    publish(w, fn, context, (uint32_t)tiles);
    work(w, 0);
    wait_until_finished(w);
}

/* Shares alone would do but for a run whose shares look like those of the one before. */
uint64_t workers_progress(const struct workers *w) {
    uint64_t progress = atomic_load_explicit(&w->runs, memory_order_relaxed);
    progress = progress << 32 | atomic_load_explicit(&w->alone, memory_order_relaxed);
    for (size_t i = 0; i < w->count; i++)
        progress = progress * 31 + atomic_load_explicit(&w->worker[i].unclaimed, memory_order_relaxed);
    return progress;
}

static void start_threads(struct workers *w, int *problem) {
    for (*problem = 0; w->count < w->capacity; w->count++) {
        struct worker *worker = &w->worker[w->count];
        worker->workers = w;
        worker->index = w->count;
        char name[16];
        snprintf(name, sizeof name, "compute-%u", (unsigned)(w->count & 0xffff));
        *problem = thread_start(&worker->thread, name, worker_main, worker);
        if (*problem) break;
    }
}

enum status workers_create(size_t threads, struct workers **out, struct error *e) {
    if (threads < 1 || threads > WORKERS_THREADS_MAX)
        return error_set(e, STATUS_INVALID_ARGUMENT, "threads", "found %zu, expected 1 to %d", threads,
                         WORKERS_THREADS_MAX);
    struct workers *w = memory_aligned(1, sizeof *w + threads * sizeof w->worker[0], "compute threads", e);
    if (!w) return STATUS_NO_MEMORY;
    w->count = 1;
    w->capacity = threads;
    /* With fewer cores than threads, who spins keeps the one it waits for from running. */
    w->spin = threads <= workers_default_count();
    int problem;
    start_threads(w, &problem);
    if (problem) {
        size_t started = w->count;
        workers_destroy(w);
        return error_set(e, STATUS_LIMIT, "threads", "cannot start compute thread %zu of %zu: %s", started,
                         threads, strerror(problem));
    }
    *out = w;
    return STATUS_OK;
}

void workers_destroy(struct workers *w) {
    if (!w) return;
    atomic_store_explicit(&w->stopping, true, memory_order_release);
    announce(w, WORKERS_THREADS_MAX);
    for (size_t i = 1; i < w->count; i++) pthread_join(w->worker[i].thread, NULL);
    free(w);
}

size_t workers_count(const struct workers *w) {
    return w->count;
}

/* Size of the affinity mask; the mask must be as large as the kernel's, which may know more than CPU_SETSIZE
 * CPUs. */
static size_t affinity_count(void) {
    for (int cpus = CPU_SETSIZE; cpus <= 1 << 16; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (!set) break;
        size_t size = CPU_ALLOC_SIZE(cpus);
        int result = sched_getaffinity(0, size, set);
        int reason = errno;
        size_t count = result == 0 ? (size_t)CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (result == 0) return count;
        if (reason != EINVAL) break;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}

size_t workers_default_count(void) {
    size_t count = affinity_count();
    double cores;
    /* Part of a core is worth a thread: the quota is spent a little early, but never left unused. */
    if (cgroup_cpu_cores("", &cores) && ceil(cores) < (double)count) count = (size_t)ceil(cores);
    if (count > WORKERS_THREADS_MAX) count = WORKERS_THREADS_MAX;
    return count > 0 ? count : 1;
}
