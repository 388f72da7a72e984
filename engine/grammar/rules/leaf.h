/* The automaton of the leaves: what is left of a regular expression behind a byte is a regular expression again
 * (Brzozowski's derivative), and each is a state. States are made as they are met, so that intersections, differences
 * and counts cost nothing before they are walked. */
#pragma once

#include "engine/grammar/rules/expression.h"

/* A state's number; 0: no text can be matched any more. */
typedef uint32_t leaf_state;
enum { LEAF_DEAD = 0 };

/* Which bytes no set tells apart; from here on no new sets are made, only unions, intersections and differences. */
void leaves_freeze(struct rules *r);
void leaves_deinit(struct rules *r);

/* The states from `count` on are forgotten, and rows from `row_count` on; flags[i] of those that stay are as leaf_flags
 * said. Expressions may have got other numbers, but for theirs. */
void leaves_forget(struct rules *r, size_t count, size_t row_count, const uint8_t *flags);
uint8_t leaf_flags(const struct rules *r, leaf_state state);
/* The state of an expression that is known to match some text. RULES_NONE: failed. */
leaf_state leaf_restore(struct rules *r, rules_expression x);

/* The state of a regular expression; LEAF_DEAD where it matches no text. RULES_NONE: failed. */
leaf_state leaf_of(struct rules *r, rules_expression x);
/* Works out where the state leads; false: failed. */
bool leaf_expand(struct rules *r, leaf_state state);
/* Where a state leads, by class of bytes; LEAF_DEAD where no text matches from there on. NULL: failed. Good until the
 * next call. */
static inline const leaf_state *leaf_row(struct rules *r, leaf_state state) {
    if (!r->leaves[state].pruned && !leaf_expand(r, state)) return NULL;
    return r->rows + (size_t)r->leaves[state].row * r->class_count;
}
static inline bool leaf_nullable(const struct rules *r, leaf_state state) {
    return expression_is(r, r->leaves[state].expression, EXPRESSION_NULLABLE);
}
/* Whether a regular expression matches any text at all. */
bool expression_alive(struct rules *r, rules_expression x);
