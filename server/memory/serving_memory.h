/* Memory that serving may take beside the engine, from the configuration and the memory at hand. Each total
 * is bounded here and enforced where it is taken; the sum is what the engine's cache leaves alone.
 *
 *   bodies       bytes of bodies while they come and wait (admission.h); past it 429
 *   reading      JSON trees and texts being encoded: requests wait for their turn; 413 for one that is beyond it
 *                alone
 *   answers      what admitted requests hold, whole answers, unsent bytes of streams; past it 429, 413
 *                for what needs more alone, and streams wait for their readers
 *   connections  each has a buffer of libmicrohttpd, its request, and under TLS a session */
#pragma once

#include "config/config.h"
#include "engine/api/engine.h"
#include "server/memory/budget.h"
#include "server/memory/connection_memory.h"

struct serving_memory {
    size_t values_max; /* JSON values of one body */
    size_t bodies_bytes, connections_max, connection_bytes, program_bytes;
    struct gate reading;
    struct budget answers;
    size_t freed_bytes; /* by requests that have ended, since the heap was last asked for them. Loop thread */
};

/* From so much on it is worth asking the heap to give back what was freed. */
#define SERVING_MEMORY_FREED_MAX ((size_t)8 << 20)

/* available_bytes: what the process may use before the model is loaded; 0: not known. */
void serving_memory_init(struct serving_memory *m, const struct config *config, size_t available_bytes);
void serving_memory_deinit(struct serving_memory *m);

/* Adds a line for each to the options. */
void serving_memory_reserve(const struct serving_memory *m, struct engine_options *options);
