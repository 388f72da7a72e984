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
/* Consecutive threads that share what a run begins and ends with: of 64, eight groups of eight, so that nobody waits for
 * the cache lines of more than some eight others. */
#define WORKERS_GROUP 8

struct workers;

/* One tile of a run. worker is 0 .. workers_count()-1 (0 is the caller), for per-thread scratch. */
typedef void (*workers_fn)(void *context, size_t tile, size_t worker);

/* threads counts the caller: 1 starts none. Outside 1 .. WORKERS_THREADS_MAX: STATUS_INVALID_ARGUMENT;
 * threads that the system refuses: STATUS_LIMIT. */
enum status workers_create(size_t threads, struct workers **out, struct error *e);

/* A pool that splits its runs as for so many threads, and has none but the caller, which does all: to see what that
 * costs where there are fewer cores. */
enum status workers_create_alone(size_t shares, struct workers **out, struct error *e);

/* Joins all threads. NULL is allowed. */
void workers_destroy(struct workers *w);
size_t workers_count(const struct workers *w);

/* Calls fn once for each tile 0 .. tiles-1, in any order on any worker, and returns when all are done; what
 * they wrote is then visible to the caller. At most 2^32 - 1 tiles. Not to be called from a tile. */
void workers_run(struct workers *w, workers_fn fn, void *context, size_t tiles);

/* From now on observe is called before each run (begins) and behind it, on the caller's thread; NULL: no more. */
typedef void (*workers_observe_fn)(void *context, size_t tiles, bool begins);
void workers_observe(struct workers *w, workers_observe_fn observe, void *context);

/* A number that changes whenever a tile is begun, whatever thread begins it: who sees it stand still sees that nothing
 * is computed. Any thread, without locks. */
uint64_t workers_progress(const struct workers *w);

/* Tiles [first, end), in ascending order, that a worker takes in a run of so many unless another is faster. */
struct workers_share {
    size_t first, end;
};
struct workers_share workers_share(const struct workers *w, size_t tiles, size_t worker);

/* Cores that this process may use: the affinity mask, cut by the CPU limit of the cgroup (v2, v1); at
 * least 1. */
size_t workers_default_count(void);
