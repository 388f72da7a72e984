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
size_t grammar_bytes(const struct grammar *g);

/* ---- reading texts ------------------------------------------------------------------------------------------ */

/* How far a text has been read. It stands still in memory while it is one of the grammar's. */
struct grammar_place {
    struct grammar *grammar;
    size_t count;                          /* tokens read, all of which fitted */
    uint32_t state;                        /* behind them */
    uint64_t in_line;                      /* an order; 0: does not wait for the grammar */
    bool wants_reserve;                    /* of the budget, which another grammar had */
    struct grammar_place *previous, *next; /* of the same grammar */
};

/* What there is behind a text. */
struct grammar_outlook {
    bool is_dead; /* it does not fit */
    bool may_end;
};

/* What may be worked: a bound that is the same on every machine. */
struct grammar_steps {
    size_t left, used;
};

/* Nothing has been read. The grammar is borrowed. */
void grammar_place_init(struct grammar_place *p, struct grammar *g);
void grammar_place_deinit(struct grammar_place *p);
/* Nobody waits for what is being worked out for it. */
void grammar_place_leave(struct grammar_place *p);
/* Whether steps are of no use to it now: another text has the grammar, or stands before it in the line of those that need
 * it to themselves. */
bool grammar_place_is_behind(const struct grammar_place *p);

/* Reads tokens[0 .. count) as far as they have not been read yet, and says what comes behind them. bits: one bit an id,
 * id 0 the lowest of bits[0]: it may come next, and from there the text can be brought to an end; those of end tokens are not
 * set here, that is may_end's. (rows + 31) / 32 words, of the vocabulary's count. NULL: they are not asked for.
 *
 * steps: what may be worked now. NULL: as many as it takes. BUSY: it takes more, or another text's question to this grammar
 * goes first: ask the same again, with more. What was done is not lost: it goes on in tokens and bits, which stay there until
 * there is an answer or the place is left. Who was told so first has the grammar to itself first. A function of grammar,
 * vocabulary and tokens alone, whatever else is read, is also what else can come of it: LIMIT, where one token, or what may
 * come behind it, needs more memory by itself than a grammar may have, or has too many ways to be read. NO_MEMORY. Any
 * thread, each place by one at a time. */
enum status grammar_place_read(struct grammar_place *p, const int32_t *tokens, size_t count,
                               struct grammar_steps *steps, uint32_t *bits, struct grammar_outlook *out,
                               struct error *e);
/* The same where it takes little, whoever was told so before: BUSY is no question, and the place has read as far as it got. */
enum status grammar_place_read_on(struct grammar_place *p, const int32_t *tokens, size_t count,
                                  struct grammar_steps *steps, uint32_t *bits, struct grammar_outlook *out,
                                  struct error *e);
/* The same of a text that may go on behind what has been read, with `more` behind it (none where it is negative): nothing is
 * remembered, and BUSY is the end of it. */
enum status grammar_place_try(struct grammar_place *p, const int32_t *tokens, size_t count, int32_t more,
                              struct grammar_steps *steps, uint32_t *bits, struct grammar_outlook *out,
                              struct error *e);
/* How many of `count` tokens fit behind what has been read; as far as steps allow. */
size_t grammar_place_fitting(struct grammar_place *p, const int32_t *tokens, size_t count,
                             struct grammar_steps *steps);
/* The bytes that must come behind what has been read, at most `most`; returns how many are known. */
size_t grammar_place_forced(struct grammar_place *p, struct grammar_steps *steps, char *out, size_t most);

/* ---- single steps: by whoever has a grammar to himself, as tools do -------------------------------------------- */

/* States are made as they are met. A state is good as long as nobody reads by a place. */
typedef uint32_t grammar_state;
enum { GRAMMAR_START = 0, GRAMMAR_DEAD = UINT32_MAX };

/* The state behind a token; GRAMMAR_DEAD where it may not come. LIMIT: bytes_max is used up; BUSY: the budget is used up;
 * NO_MEMORY. */
enum status grammar_accept(struct grammar *g, grammar_state from, int32_t token, grammar_state *to,
                           struct error *e);
/* Whether the text may end here. */
bool grammar_may_end(struct grammar *g, grammar_state state);
/* The bytes that must come from a state on, at most `most`; returns how many are known. */
size_t grammar_forced(struct grammar *g, grammar_state state, char *out, size_t most);
/* bits as grammar_place_read has them. */
enum status grammar_mask(struct grammar *g, grammar_state state, uint32_t *bits, struct error *e);
