/* How a run works. The caller writes to each worker that has a share of the run what the job is, the range of its tiles and
 * the run's number; whoever makes a range shorter by one owns a tile, and only an owner reads the job. Workers take the
 * first tile of their own share or the last of another's. The caller returns when no share has unfinished tiles, so no
 * owner is left when it publishes the next job, and a worker that wakes late finds nothing to claim and has touched
 * nothing. A run never waits for a worker that has no tile, and does not disturb those without a share.
 *
 * Cache lines. All that a worker and the caller tell each other in a run is one line, the worker's own, on which it waits,
 * and which nobody else writes but who steals from it. So nobody waits for the lines of others one after another: the caller
 * writes all of them in a row, and reads all of them in a row, and the processor has many of them under way at once. Who has
 * looked at every share and found nothing says so in one word, so that not all of them look at all shares: tiles are never
 * added to a run. A worker that is still looking when the next run begins lets it be, and takes its own share of that. What
 * a run costs by its threads: docs/performance.md.
 *
 * Sleeping. A worker sleeps on its own `run`, the caller on `ends`. Each sleeper first announces itself, then looks once
 * more, and then lets the kernel compare the word; each waker first changes what the sleeper looks at and then looks for
 * announced sleepers. Announcing and looking are sequentially consistent on both sides, so at least one of the two sees the
 * other: for workers these are `sleepers` and `runs`, of all, so that a caller who wakes nobody looks at one word. */
#include "engine/base/workers.h"

#include <assert.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/thread.h"
#include "engine/base/topology.h"

#define SPIN_NS    20000u
#define CACHE_LINE 64

/* All in one line but what is never written while it works. */
struct worker {
    /* Of the last run that it has a share of; written by the caller between runs. */
    _Alignas(CACHE_LINE) _Atomic uint32_t run;
    _Atomic uint32_t sharing;    /* workers that have a share of that */
    _Atomic uint32_t unfinished; /* tiles of its share */
    _Atomic uint64_t unclaimed;  /* of its share: see range_of() */
    workers_fn fn;               /* fn and context are read by owners of a tile of the share */
    void *context;
    _Atomic bool sleeps;

    _Alignas(CACHE_LINE) struct workers *workers;
    size_t index;
    size_t first, end; /* workers of its node */
    struct topology_cpu place;
    pthread_t thread;
};

struct workers {
    /* Not written while it works. */
    struct topology *topology; /* that threads are bound to, or NULL */
    size_t nodes;
    bool own_cores; /* else they are bound to nodes */
    bool caller_is_bound;
    pthread_t caller; /* that is */
    bool spin;
    bool without_threads;       /* of workers_create_alone() */
    size_t count;               /* shares of a run: of threads, the caller included */
    size_t threads;             /* that were started, and the caller: fewer only in a pool without threads */
    size_t capacity;            /* of worker[] */
    workers_observe_fn observe; /* or NULL; the caller's */
    void *observe_context;
    _Atomic bool stopping;

    _Alignas(CACHE_LINE) _Atomic uint32_t alone;    /* tiles that the caller took without the others */
    _Atomic uint32_t runs;                          /* counts them; for who falls asleep */
    _Alignas(CACHE_LINE) _Atomic uint32_t sleepers; /* workers */
    _Atomic uint32_t ends;                          /* of shares, while the caller sleeps */
    _Atomic bool caller_sleeps;
    _Alignas(CACHE_LINE) _Atomic uint32_t exhausted; /* the run of which all tiles are known to be claimed */

    struct worker worker[]; /* the first stands for the caller and has no thread */
};

static void futex_wait(_Atomic uint32_t *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
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
 * the release in give(): the job that is read after a successful claim is the one whose tile was claimed. */
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

/* ---- where threads run --------------------------------------------------------------------------------- */

/* The calling thread, as a worker. The caller shares its node with whatever it starts. */
static void bind_thread(const struct workers *w, const struct worker *self) {
    topology_bind(w->topology, &self->place, w->own_cores && self->index > 0);
}

/* While loading it is another thread than later. */
static void bind_caller(struct workers *w) {
    if (w->caller_is_bound && pthread_equal(w->caller, pthread_self())) return;
    w->caller_is_bound = true;
    w->caller = pthread_self();
    bind_thread(w, &w->worker[0]);
}

/* ---- working ------------------------------------------------------------------------------------------- */

/* Of a run's workers, the first so many have a share. */
static size_t sharers(const struct workers *w, size_t tiles) {
    return tiles < w->count ? tiles : w->count;
}

/* Tiles of a worker's share are done. */
static void report(struct workers *w, size_t owner, uint32_t done) {
    if (done == 0) return;
    /* Release: what the tiles wrote is visible to the caller once it sees zero. */
    if (atomic_fetch_sub(&w->worker[owner].unfinished, done) != done) return;
    if (!atomic_load(&w->caller_sleeps)) return;
    atomic_fetch_add(&w->ends, 1);
    futex_wake(&w->ends);
}

/* Nobody need look for a tile of the run any more: all are claimed, or it is over. */
static bool is_over(const struct workers *w, const struct worker *self, uint32_t run) {
    return atomic_load_explicit(&w->exhausted, memory_order_relaxed) == run ||
           atomic_load_explicit(&self->run, memory_order_relaxed) != run;
}

/* The i-th of the workers that have a share: from the next on those of its node, then from these on the others. */
static size_t victim_of(const struct worker *self, size_t sharing, size_t i) {
    const size_t end = self->end < sharing ? self->end : sharing,
                 own = end > self->first ? end - self->first : 0;
    if (i < own) return self->first + (self->index + 1 + i - self->first) % own;
    return (self->first + i) % sharing;
}

/* A tile of the next share that has any. */
static bool steal(struct workers *w, size_t worker, uint32_t run, size_t *owner, uint32_t *tile) {
    const struct worker *self = &w->worker[worker];
    const size_t sharing = atomic_load_explicit(&self->sharing, memory_order_relaxed);
    for (size_t i = 0; i < sharing; i++) {
        if (is_over(w, self, run)) return false;
        *owner = victim_of(self, sharing, i);
        if (claim_of(&w->worker[*owner], false, tile)) return true;
    }
    if (!is_over(w, self, run)) atomic_store_explicit(&w->exhausted, run, memory_order_relaxed);
    return false;
}

static void run_claimed(const struct worker *owner, uint32_t tile, size_t worker) {
    owner->fn(owner->context, tile, worker);
}

/* Works on its own share, then on what others have left. */
static void work(struct workers *w, size_t worker, uint32_t run) {
    struct worker *self = &w->worker[worker];
    size_t owner;
    uint32_t tile, done = 0;
    for (; claim_of(self, true, &tile); done++) run_claimed(self, tile, worker);
    report(w, worker, done);
    while (steal(w, worker, run, &owner, &tile)) {
        run_claimed(&w->worker[owner], tile, worker);
        report(w, owner, 1);
    }
}

static void sleep_until_run(struct workers *w, struct worker *self, uint32_t seen) {
    atomic_store_explicit(&self->sleeps, true, memory_order_relaxed);
    atomic_fetch_add(&w->sleepers, 1);
    /* Whoever has changed it by now has written `run` before; else it sees the sleeper. */
    (void)atomic_load(&w->runs);
    while (atomic_load_explicit(&self->run, memory_order_acquire) == seen) futex_wait(&self->run, seen);
    atomic_fetch_sub(&w->sleepers, 1);
    atomic_store_explicit(&self->sleeps, false, memory_order_relaxed);
}

/* For as long as runs follow each other, also such that it has no share of: one that it has may be the next. */
static bool spin_until_run(const struct workers *w, struct worker *self, uint32_t seen) {
    for (uint32_t before, runs = atomic_load_explicit(&w->runs, memory_order_relaxed);;) {
        if (spin_until(&self->run, seen, false)) return true;
        before = runs;
        runs = atomic_load_explicit(&w->runs, memory_order_relaxed);
        if (runs == before) return false;
    }
}

/* Returns the number of the next run that it has a share of, once that is no longer `seen`. */
static uint32_t wait_for_run(struct workers *w, struct worker *self, uint32_t seen) {
    if (!w->spin || !spin_until_run(w, self, seen)) sleep_until_run(w, self, seen);
    return atomic_load_explicit(&self->run, memory_order_acquire);
}

static void *worker_main(void *argument) {
    struct worker *self = argument;
    struct workers *w = self->workers;
    if (w->topology) bind_thread(w, self);
    for (uint32_t seen = 0;;) {
        seen = wait_for_run(w, self, seen);
        if (atomic_load_explicit(&w->stopping, memory_order_acquire)) return NULL;
        work(w, self->index, seen);
    }
}

/* ---- the caller ---------------------------------------------------------------------------------------- */

/* Where there are fewer tiles than workers, the first of these have one each: what is near the caller is faster, and the
 * others are left in peace. */
struct workers_share workers_share(const struct workers *w, size_t tiles, size_t worker) {
    const uint64_t all = tiles, sharing = sharers(w, tiles);
    if (worker >= sharing) return (struct workers_share){.first = tiles, .end = tiles};
    return (struct workers_share){
        .first = (all * worker + sharing - 1) / sharing,
        .end = (all * (worker + 1) + sharing - 1) / sharing,
    };
}

static void wake_workers(struct workers *w, size_t first, size_t end) {
    if (atomic_load(&w->sleepers) == 0) return;
    for (size_t i = first; i < end; i++)
        if (atomic_load_explicit(&w->worker[i].sleeps, memory_order_relaxed)) futex_wake(&w->worker[i].run);
}

/* A share of a run to a worker. */
static void give(struct worker *worker, uint32_t run, workers_fn fn, void *context, size_t sharing,
                 struct workers_share share) {
    worker->fn = fn;
    worker->context = context;
    atomic_store_explicit(&worker->sharing, (uint32_t)sharing, memory_order_relaxed);
    atomic_store_explicit(&worker->unfinished, (uint32_t)(share.end - share.first), memory_order_relaxed);
    atomic_store_explicit(&worker->unclaimed, range_of((uint32_t)share.first, (uint32_t)share.end),
                          memory_order_release);
    atomic_store_explicit(&worker->run, run, memory_order_release);
}

/* Returns the run's number. */
static uint32_t publish(struct workers *w, workers_fn fn, void *context, size_t tiles, bool steals) {
    const size_t sharing = sharers(w, tiles);
    const uint32_t run = atomic_load_explicit(&w->runs, memory_order_relaxed) + 1;
    if (!steals) atomic_store_explicit(&w->exhausted, run, memory_order_relaxed);
    for (size_t i = sharing; i-- > 0;)
        give(&w->worker[i], run, fn, context, sharing, workers_share(w, tiles, i));
    atomic_store(&w->runs, run);
    wake_workers(w, 1, sharing);
    return run;
}

static void sleep_until_finished(struct workers *w, size_t sharing) {
    atomic_store(&w->caller_sleeps, true);
    for (size_t i = 0; i < sharing;) {
        const uint32_t ends = atomic_load(&w->ends);
        if (atomic_load(&w->worker[i].unfinished) == 0)
            i++;
        else
            futex_wait(&w->ends, ends);
    }
    atomic_store(&w->caller_sleeps, false);
}

static void wait_until_finished(struct workers *w, size_t sharing) {
    for (size_t i = 0; i < sharing; i++) {
        _Atomic uint32_t *unfinished = &w->worker[i].unfinished;
        if (atomic_load_explicit(unfinished, memory_order_acquire) == 0) continue;
        if (w->spin && spin_until(unfinished, 0, true)) continue;
        sleep_until_finished(w, sharing);
        return;
    }
}

/* Tiles that the caller does without the others. */
static void run_share(struct workers *w, workers_fn fn, void *context, struct workers_share share,
                      size_t worker) {
    for (size_t tile = share.first; tile < share.end; tile++) {
        atomic_fetch_add_explicit(&w->alone, 1, memory_order_relaxed);
        fn(context, tile, worker);
    }
}

static void run_alone(struct workers *w, workers_fn fn, void *context, size_t tiles) {
    for (size_t worker = 0; worker < w->count; worker++) {
        const struct workers_share share = workers_share(w, tiles, worker);
        for (size_t tile = share.first; tile < share.end; tile++) {
            run_share(w, fn, context, (struct workers_share){tile, tile + 1}, worker);
            if (w->observe) w->observe(w->observe_context, tiles, WORKERS_TILE_ENDS);
        }
    }
}

static void run(struct workers *w, workers_fn fn, void *context, size_t tiles, bool steals) {
    if (w->topology) bind_caller(w);
    if (w->without_threads) {
        run_alone(w, fn, context, tiles);
        return;
    }
    if (w->count == 1 || tiles <= 1) {
        run_share(w, fn, context, (struct workers_share){0, tiles}, 0);
        return;
    }
    work(w, 0, publish(w, fn, context, tiles, steals));
    wait_until_finished(w, sharers(w, tiles));
}

void workers_run(struct workers *w, workers_fn fn, void *context, size_t tiles) {
    assert(tiles <= UINT32_MAX);
    if (!w->observe) {
        run(w, fn, context, tiles, true);
        return;
    }
    w->observe(w->observe_context, tiles, WORKERS_RUN_BEGINS);
    run(w, fn, context, tiles, true);
    w->observe(w->observe_context, tiles, WORKERS_RUN_ENDS);
}

void workers_run_each(struct workers *w, workers_fn fn, void *context) {
    run(w, fn, context, w->count, false);
}

void workers_observe(struct workers *w, workers_observe_fn observe, void *context) {
    w->observe = observe;
    w->observe_context = context;
}

/* Shares alone would do but for a run whose shares look like those of the one before. */
uint64_t workers_progress(const struct workers *w) {
    uint64_t progress = atomic_load_explicit(&w->runs, memory_order_relaxed);
    progress = progress << 32 | atomic_load_explicit(&w->alone, memory_order_relaxed);
    for (size_t i = 0; i < w->count; i++)
        progress = progress * 31 + atomic_load_explicit(&w->worker[i].unclaimed, memory_order_relaxed);
    return progress;
}

static int start_threads(struct workers *w) {
    for (; w->threads < w->capacity; w->count = ++w->threads) {
        char name[16];
        snprintf(name, sizeof name, "compute-%u", (unsigned)(w->threads & 0xffff));
        struct worker *worker = &w->worker[w->threads];
        int problem = thread_start(&worker->thread, name, worker_main, worker);
        if (problem) return problem;
    }
    return 0;
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
    w->nodes = 1;
    for (size_t i = 0; i < capacity; i++) {
        w->worker[i].workers = w;
        w->worker[i].index = i;
        w->worker[i].end = capacity;
    }
    *out = w;
    return STATUS_OK;
}

enum status workers_create_alone(size_t shares, struct workers **out, struct error *e) {
    enum status status = create(shares, out, e);
    if (status != STATUS_OK) return status;
    (*out)->count = shares;
    (*out)->without_threads = true;
    return STATUS_OK;
}

/* Workers of a node stand together. */
static void make_groups(struct workers *w) {
    for (size_t first = 0, end; first < w->capacity; first = end) {
        const unsigned node = w->worker[first].place.node;
        end = first;
        while (end < w->capacity && w->worker[end].place.node == node) end++;
        for (size_t i = first; i < end; i++) w->worker[i].first = first, w->worker[i].end = end;
        w->nodes = first == 0 ? 1 : w->nodes + 1;
    }
}

/* Takes the topology where threads are to be bound to it. */
static enum status place_threads(struct workers *w, enum pin_threads pin, struct topology *t,
                                 struct error *e) {
    struct topology_cpu *places = memory_aligned(w->capacity, sizeof *places, "compute threads", e);
    if (!places) return STATUS_NO_MEMORY;
    topology_place(t, w->capacity, places);
    for (size_t i = 0; i < w->capacity; i++) w->worker[i].place = places[i];
    free(places);
    make_groups(w);
    w->own_cores = pin == PIN_THREADS_ON;
    w->topology = t;
    return STATUS_OK;
}

/* Fewer threads than cores, on nodes that all such processes fill from the first on, would be in each other's way. */
static bool is_worth_binding(const struct topology *t, size_t threads, enum pin_threads pin) {
    bool several = false;
    for (size_t i = 1; i < t->count; i++) several |= t->cpu[i].node != t->cpu[0].node;
    if (t->count == 0 || threads > t->count) return false;
    return pin == PIN_THREADS_ON || (several && threads >= topology_cores(t));
}

static enum status read_places(struct workers *w, enum pin_threads pin, const char *root, struct error *e) {
    struct topology *t = NULL;
    if (pin == PIN_THREADS_OFF) return STATUS_OK;
    enum status status = topology_create(root, &t, e);
    if (status == STATUS_OK && is_worth_binding(t, w->capacity, pin)) status = place_threads(w, pin, t, e);
    if (status != STATUS_OK || !w->topology) topology_destroy(t);
    return status;
}

enum status workers_create_pinned(size_t threads, enum pin_threads pin, const char *root,
                                  struct workers **out, struct error *e) {
    struct workers *w = NULL;
    enum status status = create(threads, &w, e);
    if (status != STATUS_OK) return status;
    /* With fewer cores than threads, who spins keeps the one it waits for from running. */
    w->spin = threads <= workers_default_count();
    if ((status = read_places(w, pin, root, e)) != STATUS_OK) {
        workers_destroy(w);
        return status;
    }
    int problem = start_threads(w);
    if (problem) {
        size_t started = w->threads;
        workers_destroy(w);
        return error_set(e, STATUS_LIMIT, "threads", "cannot start compute thread %zu of %zu: %s", started,
                         threads, strerror(problem));
    }
    *out = w;
    return STATUS_OK;
}

enum status workers_create(size_t threads, struct workers **out, struct error *e) {
    return workers_create_pinned(threads, PIN_THREADS_OFF, "", out, e);
}

size_t workers_nodes(const struct workers *w) {
    return w->nodes;
}

void workers_destroy(struct workers *w) {
    if (!w) return;
    atomic_store_explicit(&w->stopping, true, memory_order_release);
    for (size_t i = 1; i < w->threads; i++)
        give(&w->worker[i], w->runs + 1, NULL, NULL, 0, (struct workers_share){0});
    atomic_fetch_add(&w->runs, 1);
    wake_workers(w, 1, w->threads);
    for (size_t i = 1; i < w->threads; i++) pthread_join(w->worker[i].thread, NULL);
    topology_destroy(w->topology);
    free(w);
}

size_t workers_count(const struct workers *w) {
    return w->count;
}
