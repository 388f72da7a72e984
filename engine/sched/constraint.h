/* The grammar of a request along its sequences: which tokens may come at a row, and when the text is complete. A
 * function of the tokens alone; any worker. */
#pragma once

#include "engine/sched/sequence.h"

/* The state behind the first `count` tokens of a sequence that has a grammar; of those that are not drafts, behind all.
 * GRAMMAR_DEAD: a draft before does not fit, or ends the text, so that what comes there is of no use. */
enum status constraint_state(const struct sequence *q, size_t count, grammar_state *state, struct error *e);

/* What may come in a state: the grammar's tokens; and the model's end tokens and the request's stop tokens, where the
 * text may end. */
enum status constraint_mask(const struct sequence *q, grammar_state state, uint32_t *mask, size_t words,
                            struct error *e);

/* The state behind one more token, and whether the text is complete there: nothing can follow. mask: scratch. */
enum status constraint_follow(const struct sequence *q, grammar_state from, int32_t token, uint32_t *mask,
                              size_t words, grammar_state *to, bool *complete, struct error *e);

/* How many of the drafts behind a sequence's tokens can all be true. */
size_t constraint_fitting_drafts(const struct sequence *q, size_t drafts);
