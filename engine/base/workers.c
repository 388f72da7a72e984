/* How a run works. The caller publishes the job (function, context; a copy for each group) and then each worker's share of
 * unclaimed tiles; whoever makes a share shorter by one owns a tile, and only an owner reads the job. Workers take the
 * first tile of their own share or the last of another's. The caller returns when the number of unfinished
 * tiles is zero, so no owner is left when it publishes the next job, and a worker that wakes late finds
 * nothing to claim and has touched nothing. A run never waits for a worker that has no tile.
 *
 * Cache lines. Nothing that all threads write is waited for by all: up to WORKERS_GROUP of them share a word that tells of runs
 * and a count of unfinished tiles, and the last of a group tells the count of groups. A worker reports the tiles of its
 * own share before it looks for others, so that looking never makes the caller wait; and who has looked at every share
 * and found nothing says so in one word, so that not all of them look at all shares: tiles are never added to a run. A
 * worker that is still looking when the next run begins lets it be, and takes its own share of that. What a run costs by
 * its threads: docs/performance.md.
 *
 * Sleeping. Two kinds of futex words: a group's `runs` wakes its workers, the last count to become zero wakes the caller. Each
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
#define GROUPS_MAX (WORKERS_THREADS_MAX / WORKERS_GROUP)

struct worker {
    struct workers *workers;
    size_t index;
    pthread_t thread;
    _Alignas(CACHE_LINE) _Atomic uint64_t unclaimed; /* of its share: see range_of() */
};

struct group {
    _Alignas(CACHE_LINE) _Atomic uint32_t unfinished; /* tiles of its shares */
    _Alignas(CACHE_LINE) _Atomic uint32_t runs;       /* counts them: the same in all groups */
    _Atomic uint32_t sleepers;
    /* The job, beside the word that tells of it: written by the caller between runs, read by owners of a tile. */
    workers_fn fn;
    void *context;
};

struct workers {
    /* Not written while it works. */
    bool spin;
    size_t count;               /* shares of a run: of threads, the caller included */
    size_t threads;             /* that were started, and the caller: fewer only in a pool without threads */
    size_t capacity;            /* of worker[] */
    workers_observe_fn observe; /* or NULL; the caller's */
    void *observe_context;
    _Atomic bool stopping;

    _Alignas(CACHE_LINE) _Atomic uint32_t alone;      /* tiles that the caller took without the others */
    _Alignas(CACHE_LINE) _Atomic uint32_t unfinished; /* groups; not used where there is one */
    _Atomic bool caller_sleeps;
    _Alignas(CACHE_LINE) _Atomic uint32_t exhausted; /* the run of which all tiles are known to be claimed */

    struct group groups[GROUPS_MAX];
    struct worker worker[]; /* the first stands for the caller and has no thread */
};

static void futex_wait(_Atomic uint32_t *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

/* Returns how many it woke. */
static uint32_t futex_wake(_Atomic uint32_t *word, uint32_t sleepers) {
    long woken = syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, sleepers, NULL, NULL, 0);
    return woken > 0 ? (uint32_t)woken : 0;
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

/* ---- groups -------------------------------------------------------------------------------------------- */

static size_t group_count(const struct workers *w) {
    return (w->count + WORKERS_GROUP - 1) / WORKERS_GROUP;
}

/* What is zero once the run is over. */
static _Atomic uint32_t *last_count(struct workers *w) {
    return w->count <= WORKERS_GROUP ? &w->groups[0].unfinished : &w->unfinished;
}

/* Tiles of a worker's share are done. */
static void report(struct workers *w, size_t owner, size_t worker, uint32_t done) {
    struct group *group = &w->groups[owner / WORKERS_GROUP];
    if (done == 0) return;
    /* Release: what the tiles wrote is visible to the caller once it sees zero. */
    if (atomic_fetch_sub(&group->unfinished, done) != done) return;
    if (w->count > WORKERS_GROUP && atomic_fetch_sub(&w->unfinished, 1) != 1) return;
    if (worker != 0 && atomic_load(&w->caller_sleeps)) futex_wake(last_count(w), 1);
}

/* ---- working ------------------------------------------------------------------------------------------- */

/* Nobody need look for a tile of the run any more: all are claimed, or it is over. */
static bool is_over(const struct workers *w, size_t worker, uint32_t run) {
    return atomic_load_explicit(&w->exhausted, memory_order_relaxed) == run ||
           atomic_load_explicit(&w->groups[worker / WORKERS_GROUP].runs, memory_order_relaxed) != run;
}

/* The i-th of the others: those of the worker's group first, whose lines are nearest. */
static size_t other_of(const struct workers *w, size_t worker, size_t i) {
    size_t first = worker / WORKERS_GROUP * WORKERS_GROUP,
           own = w->count - first < WORKERS_GROUP ? w->count - first : WORKERS_GROUP;
    if (i < own) return first + (worker - first + i) % own;
    return (first + i) % w->count;
}

/* A tile of the next share that has any. */
static bool steal(struct workers *w, size_t worker, uint32_t run, size_t *owner, uint32_t *tile) {
    for (size_t i = 1; i < w->count; i++) {
        if (is_over(w, worker, run)) return false;
        *owner = other_of(w, worker, i);
        if (claim_of(&w->worker[*owner], false, tile)) return true;
    }
    if (!is_over(w, worker, run)) atomic_store_explicit(&w->exhausted, run, memory_order_relaxed);
    return false;
}

/* Works on its own share, then on what others have left. */
static void work(struct workers *w, size_t worker, uint32_t run) {
    const struct group *job = &w->groups[worker / WORKERS_GROUP];
    size_t owner;
    uint32_t tile, done = 0;
    for (; claim_of(&w->worker[worker], true, &tile); done++) job->fn(job->context, tile, worker);
    report(w, worker, worker, done);
    while (steal(w, worker, run, &owner, &tile)) {
        job->fn(job->context, tile, worker);
        report(w, owner, worker, 1);
    }
}

/* Returns the number of runs once it is no longer `seen`. */
static uint32_t wait_for_run(const struct workers *w, struct group *group, uint32_t seen) {
    if (!w->spin || !spin_until(&group->runs, seen, false)) {
        atomic_fetch_add(&group->sleepers, 1);
        while (atomic_load(&group->runs) == seen) futex_wait(&group->runs, seen);
        atomic_fetch_sub(&group->sleepers, 1);
    }
    return atomic_load_explicit(&group->runs, memory_order_acquire);
}

static void *worker_main(void *argument) {
    struct worker *self = argument;
    struct workers *w = self->workers;
    for (uint32_t seen = 0;;) {
        seen = wait_for_run(w, &w->groups[self->index / WORKERS_GROUP], seen);
        if (atomic_load_explicit(&w->stopping, memory_order_acquire)) return NULL;
        work(w, self->index, seen);
    }
}

/* Lets workers know that something is new and wakes at most `wanted` of those that sleep; returns the run's number. */
static uint32_t announce(struct workers *w, uint32_t wanted) {
    uint32_t run = atomic_load_explicit(&w->groups[0].runs, memory_order_relaxed) + 1;
    for (size_t i = 0; i < group_count(w); i++) atomic_store(&w->groups[i].runs, run);
    for (size_t i = 0; i < group_count(w) && wanted > 0; i++)
        if (atomic_load(&w->groups[i].sleepers) > 0) wanted -= futex_wake(&w->groups[i].runs, wanted);
    return run;
}

/* The caller has one of the first tiles even where there are fewer than workers. */
struct workers_share workers_share(const struct workers *w, size_t tiles, size_t worker) {
    uint64_t all = tiles;
    return (struct workers_share){
        .first = (all * worker + w->count - 1) / w->count,
        .end = (all * (worker + 1) + w->count - 1) / w->count,
    };
}

/* Of the shares of the group that begins with a worker. */
static uint32_t group_tiles(const struct workers *w, size_t tiles, size_t first) {
    size_t last = first + WORKERS_GROUP < w->count ? first + WORKERS_GROUP - 1 : w->count - 1;
    return (uint32_t)(workers_share(w, tiles, last).end - workers_share(w, tiles, first).first);
}

static uint32_t publish(struct workers *w, workers_fn fn, void *context, uint32_t tiles) {
    uint32_t groups = 0;
    for (size_t first = 0; first < w->count; first += WORKERS_GROUP) {
        uint32_t own = group_tiles(w, tiles, first);
        struct group *group = &w->groups[first / WORKERS_GROUP];
        group->fn = fn;
        group->context = context;
        atomic_store_explicit(&group->unfinished, own, memory_order_relaxed);
        groups += own > 0;
    }
    atomic_store_explicit(&w->unfinished, groups, memory_order_relaxed);
    for (size_t i = 0; i < w->count; i++) {
        struct workers_share share = workers_share(w, tiles, i);
        atomic_store_explicit(&w->worker[i].unclaimed, range_of((uint32_t)share.first, (uint32_t)share.end),
                              memory_order_release);
    }
    return announce(w, tiles - 1);
}

static void wait_until_finished(struct workers *w) {
    _Atomic uint32_t *count = last_count(w);
    uint32_t left = atomic_load_explicit(count, memory_order_acquire);
    if (left == 0 || (w->spin && spin_until(count, 0, true))) return;
    atomic_store(&w->caller_sleeps, true);
    while ((left = atomic_load(count)) != 0) futex_wait(count, left);
    atomic_store(&w->caller_sleeps, false);
}

static void run(struct workers *w, workers_fn fn, void *context, size_t tiles) {
    if (w->count == 1 || tiles <= 1) {
        for (size_t tile = 0; tile < tiles; tile++) {
            atomic_fetch_add_explicit(&w->alone, 1, memory_order_relaxed);
            fn(context, tile, 0);
        }
        return;
    }
    work(w, 0, publish(w, fn, context, (uint32_t)tiles));
    wait_until_finished(w);
}

void workers_run(struct workers *w, workers_fn fn, void *context, size_t tiles) {
    assert(tiles <= UINT32_MAX);
    if (!w->observe) {
        run(w, fn, context, tiles);
        return;
    }
    w->observe(w->observe_context, tiles, true);
    run(w, fn, context, tiles);
    w->observe(w->observe_context, tiles, false);
}

void workers_observe(struct workers *w, workers_observe_fn observe, void *context) {
    w->observe = observe;
    w->observe_context = context;
}

/* Shares alone would do but for a run whose shares look like those of the one before. */
uint64_t workers_progress(const struct workers *w) {
    uint64_t progress = atomic_load_explicit(&w->groups[0].runs, memory_order_relaxed);
    progress = progress << 32 | atomic_load_explicit(&w->alone, memory_order_relaxed);
    for (size_t i = 0; i < w->count; i++)
        progress = progress * 31 + atomic_load_explicit(&w->worker[i].unclaimed, memory_order_relaxed);
    return progress;
}

static void start_threads(struct workers *w, int *problem) {
    for (*problem = 0; w->threads < w->capacity; w->count = ++w->threads) {
        struct worker *worker = &w->worker[w->threads];
        worker->workers = w;
        worker->index = w->threads;
        char name[16];
        snprintf(name, sizeof name, "compute-%u", (unsigned)(w->threads & 0xffff));
        *problem = thread_start(&worker->thread, name, worker_main, worker);
        if (*problem) break;
    }
}

/* One share, and the caller. */
static enum status create(size_t capacity, struct workers **out, struct error *e) {
    if (capacity < 1 || capacity > WORKERS_THREADS_MAX)
        return error_set(e, STATUS_INVALID_ARGUMENT, "threads", "found %zu, expected 1 to %d", capacity,
                         WORKERS_THREADS_MAX);
    struct workers *w = memory_aligned(1, sizeof *w + capacity * sizeof w->worker[0], "compute threads", e);
    if (!w) return STATUS_NO_MEMORY;
    w->count = w->threads = 1;
    w->capacity = capacity;
    *out = w;
    return STATUS_OK;
}

enum status workers_create_alone(size_t shares, struct workers **out, struct error *e) {
    enum status status = create(shares, out, e);
    if (status == STATUS_OK) (*out)->count = shares;
    return status;
}

enum status workers_create(size_t threads, struct workers **out, struct error *e) {
    struct workers *w = NULL;
    enum status status = create(threads, &w, e);
    if (status != STATUS_OK) return status;
    /* With fewer cores than threads, who spins keeps the one it waits for from running. */
    w->spin = threads <= workers_default_count();
    int problem;
    start_threads(w, &problem);
    if (problem) {
        size_t started = w->threads;
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
    for (size_t i = 1; i < w->threads; i++) pthread_join(w->worker[i].thread, NULL);
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
