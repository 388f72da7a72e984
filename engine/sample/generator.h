/* Random numbers as a function of (seed, choice, position, attempt), without state: a sampled text is the
 * same whatever runs beside it, and after it was preempted and computed again. Philox4x32-10 (Salmon et al.,
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011): key = seed, counter = (position, choice, attempt).
 * Any thread. */
#pragma once

#include <stdint.h>

struct generator_block {
    uint32_t words[4];
};

/* The bijection itself: counter and key as in the paper. */
struct generator_block generator_philox(const uint32_t counter[4], const uint32_t key[2]);

/* Uniform in [0, 1), a multiple of 2^-53. attempt counts the draws for one position. */
double generator_uniform(int64_t seed, uint32_t choice, uint64_t position, uint32_t attempt);

/* A seed from the operating system, for requests that bring none. Not negative: it survives JSON readers that
 * know no sign, and it is below 2^53, so it survives those that know only doubles. */
int64_t generator_draw_seed(void);
