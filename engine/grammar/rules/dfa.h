/* The automaton of the leaves: what is left of a regular expression behind a byte is a regular expression again
 * (Brzozowski's derivative), and each is a state. States are made as they are met, so that intersections, differences
 * and counts cost nothing before they are walked. */
#pragma once

#include "engine/grammar/rules/expression.h"

/* A state's number; 0: no text can be matched any more. */
typedef uint32_t dfa_state;
enum { DFA_DEAD = 0 };

/* Which bytes no set tells apart; from here on no new sets are made, only unions, intersections and differences. */
void dfa_freeze(struct rules *r);
void dfa_deinit(struct rules *r);

/* The states from `count` on are forgotten, and rows from `row_count` on; flags[i] of those that stay are as dfa_flags
 * said. Expressions may have got other numbers, but for theirs. */
void dfa_forget(struct rules *r, size_t count, size_t row_count, const uint8_t *flags);
uint8_t dfa_flags(const struct rules *r, dfa_state state);
/* The state of an expression that is known to match some text. RULES_NONE: failed. */
dfa_state dfa_restore(struct rules *r, rules_expression x);

/* The state of a regular expression; DFA_DEAD where it matches no text. RULES_NONE: failed. */
dfa_state dfa_state_of(struct rules *r, rules_expression x);
/* Works out where the state leads; false: failed. */
bool dfa_expand(struct rules *r, dfa_state state);
/* Where a state leads, by class of bytes; DFA_DEAD where no text matches from there on. NULL: failed. Good until the
 * next call. */
static inline const dfa_state *dfa_row(struct rules *r, dfa_state state) {
    if (!r->dfa_states[state].pruned && !dfa_expand(r, state)) return NULL;
    return r->rows + (size_t)r->dfa_states[state].row * r->class_count;
}
static inline bool dfa_nullable(const struct rules *r, dfa_state state) {
    return expression_is(r, r->dfa_states[state].expression, EXPRESSION_NULLABLE);
}
/* Whether a regular expression matches any text at all. */
bool expression_alive(struct rules *r, rules_expression x);
