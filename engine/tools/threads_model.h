/* What a step would take on more threads than there are cores: its runs of tiles, simulated with the pool of
 * engine/base/workers.c, whose cache lines have a price. Pure. docs/performance.md says what is left out. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* In seconds. */
struct threads_costs {
    /* Until a line that another core has written is here. Of those who ask for it at once each waits for the one before. */
    double line;
    /* Of each of many stores in a row to lines that others have, and of each of many loads. */
    double store, load;
};

/* A run of tiles of a step: how many there are, split for as many threads as are simulated, and how long all take one. */
struct threads_run {
    size_t tiles;
    double seconds;
    const double *tile_seconds; /* [tiles]; NULL: all take the same */
};

/* Seconds of one run on 1 .. WORKERS_THREADS_MAX threads. */
double threads_model_run(const struct threads_costs *costs, const struct threads_run *run, size_t threads);
