/* Compiled grammars by what they were compiled from: requests say the same schema again and again, and what a grammar
 * has found out about the vocabulary is of use to all of them. A fixed number of places in one memory,
 * of which one may take a part; those that nobody holds give way, the one that was not used for longest first. Any
 * thread. */
#pragma once

#include "engine/grammar/grammar.h"
#include "engine/types/stats.h"

struct grammar_cache;

/* bytes_max: of all grammars together. The vocabulary is borrowed. NO_MEMORY. */
enum status grammar_cache_create(const struct grammar_vocabulary *vocabulary, size_t bytes_max,
                                 struct grammar_cache **out, struct error *e);
/* Every grammar must have been released. NULL is nothing. */
void grammar_cache_destroy(struct grammar_cache *cache);

/* Memory beside that: of the threads that the grammars may come to have. */
size_t grammar_cache_threads_bytes(const struct grammar_cache *cache);

/* A reference of it. Long where it has to be compiled, or is being compiled by another thread. STATUS_BUSY: every place
 * is held; or what grammar_compile says. */
enum status grammar_cache_get(struct grammar_cache *cache, const struct grammar_source *source,
                              struct grammar **out, struct error *e);

/* Its figures; of NULL, zeros. */
void grammar_cache_stats(struct grammar_cache *cache, struct grammar_stats *out);
