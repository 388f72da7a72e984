/* Structured output: what a request says its answer must match, compiled, and which tokens may come next. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/types/grammar.h"

struct grammar;
struct grammar_vocabulary;

/* ---- the tokens of a model: made once, immutable, any thread -------------------------------------------- */

/* texts[id]: the bytes that the token adds in the midst of a text; an empty one (added and unused tokens) is never
 * allowed. Bytes are copied. NO_MEMORY. */
enum status grammar_vocabulary_create(const struct engine_string *texts, size_t count,
                                      struct grammar_vocabulary **out, struct error *e);
void grammar_vocabulary_destroy(struct grammar_vocabulary *v);
size_t grammar_vocabulary_bytes(const struct grammar_vocabulary *v);

/* ---- compiling: in a pool, never on a loop --------------------------------------------------------------- */

/* INVALID_ARGUMENT (what is not understood, by name and place), LIMIT, BUSY (the budget), NO_MEMORY. The vocabulary is borrowed until
 * the last release. */
enum status grammar_compile(enum grammar_kind kind, struct engine_string source,
                            const struct grammar_options *options,
                            const struct grammar_vocabulary *vocabulary, struct grammar **out,
                            struct error *e);
struct grammar *grammar_retain(struct grammar *g);
void grammar_release(struct grammar *g);
/* Whether there are references beside the asker's own. */
bool grammar_is_shared(const struct grammar *g);
/* Whether its states have taken so much of bytes_max that who begins now had better compile it anew. */
bool grammar_is_worn(const struct grammar *g);
size_t grammar_bytes(const struct grammar *g);

/* ---- matching: a state is a number, so that drafts and preemption copy it ---------------------------------- */

/* States are made as they are met; any thread, one after the other (a lock inside). A state is good as long as the
 * grammar is. */
typedef uint32_t grammar_state;
enum { GRAMMAR_START = 0, GRAMMAR_DEAD = UINT32_MAX };

/* The state behind a token; GRAMMAR_DEAD where it may not come. LIMIT: bytes_max is used up, or it
 * takes too many steps; BUSY: the budget is used up; NO_MEMORY. */
enum status grammar_accept(struct grammar *g, grammar_state from, int32_t token, grammar_state *to,
                           struct error *e);
/* Whether the text may end here. */
bool grammar_may_end(struct grammar *g, grammar_state state);
/* The bytes that must come from a state on, at most `most`; returns how many are known. */
size_t grammar_forced(struct grammar *g, grammar_state state, char *out, size_t most);
/* One bit an id, id 0 the lowest of bits[0]: it may come next, and from there the text can be brought to an end. Bits
 * of end tokens are not set here: that is grammar_may_end's. (count + 31) / 32 words are written, of the vocabulary's
 * count. The result is a function of grammar, vocabulary and the text so far alone. */
enum status grammar_mask(struct grammar *g, grammar_state state, uint32_t *bits, struct error *e);
