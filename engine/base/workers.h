/* Compute threads: made once, woken by futex after a short spin. Each starts on a share of consecutive tiles
 * of its own, so that what it reads goes on in memory; when that is done it takes tiles from the ends of the
 * others' shares (on a small machine the event loop and the clients steal slices, so no share is fixed). The
 * calling thread works too. One caller at a time. Workers neither allocate nor lock; between runs they give
 * their core up after a short spin. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#define WORKERS_THREADS_MAX 1024

/* Where threads may run. AUTO: each on the CPUs of one NUMA node, where the process has several and so many threads that
 * each core has one; else it is OFF, which leaves it to the kernel. ON: each on a core of its own, but for the caller, which
 * is on its node. */
enum pin_threads { PIN_THREADS_AUTO, PIN_THREADS_ON, PIN_THREADS_OFF };

struct workers;

/* One tile of a run. worker is 0 .. workers_count()-1 (0 is the caller), for per-thread scratch. */
typedef void (*workers_fn)(void *context, size_t tile, size_t worker);

/* threads counts the caller: 1 starts none. Outside 1 .. WORKERS_THREADS_MAX: STATUS_INVALID_ARGUMENT;
 * threads that the system refuses: STATUS_LIMIT. */
enum status workers_create(size_t threads, struct workers **out, struct error *e);

/* The same on the CPUs of a topology below root ("" for this machine's). Threads of a node are neighbours and take tiles from
 * each other first. A thread that may not be where it is to be (a CPU that has gone, a sandbox) runs anywhere. The caller is
 * bound at its first run, and so are threads that it starts from then on; workers_create() binds nobody. */
enum status workers_create_pinned(size_t threads, enum pin_threads pin, const char *root,
                                  struct workers **out, struct error *e);

/* NUMA nodes that its threads are bound to; 1 where they are not. */
size_t workers_nodes(const struct workers *w);

/* A pool that splits its runs as for so many threads, and has none but the caller, which does all, a share after the other
 * and each as the worker that it belongs to: to see what that costs where there are fewer cores. */
enum status workers_create_alone(size_t shares, struct workers **out, struct error *e);

/* Joins all threads. NULL is allowed. */
void workers_destroy(struct workers *w);
size_t workers_count(const struct workers *w);

/* Calls fn once for each tile 0 .. tiles-1, in any order on any worker, and returns when all are done; what
 * they wrote is then visible to the caller. At most 2^32 - 1 tiles. Not to be called from a tile. */
void workers_run(struct workers *w, workers_fn fn, void *context, size_t tiles);

/* Calls fn once for each worker, with the worker's number as the tile, and on that worker unless it is in the last moments of
 * another run: so memory that fn is the first to write to is near who will read it. */
void workers_run_each(struct workers *w, workers_fn fn, void *context);

/* From now on observe is called, on the caller's thread, before each run and behind it, and in a pool without threads also
 * behind each tile; NULL: no more. tiles: of the run. */
enum workers_event { WORKERS_RUN_BEGINS, WORKERS_TILE_ENDS, WORKERS_RUN_ENDS };
typedef void (*workers_observe_fn)(void *context, size_t tiles, enum workers_event event);
void workers_observe(struct workers *w, workers_observe_fn observe, void *context);

/* A number that changes whenever a tile is begun, whatever thread begins it: who sees it stand still sees that nothing
 * is computed. Any thread, without locks. */
uint64_t workers_progress(const struct workers *w);

/* Tiles [first, end), in ascending order, that a worker takes in a run of so many unless another is faster. Of fewer tiles
 * than workers each of the first workers has one. */
struct workers_share {
    size_t first, end;
};
struct workers_share workers_share(const struct workers *w, size_t tiles, size_t worker);

/* Cores that this process may use: the affinity mask, cut by the CPU limit of the cgroup (v2, v1); at
 * least 1. Read at the first call. */
size_t workers_default_count(void);
