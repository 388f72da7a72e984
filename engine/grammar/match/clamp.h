/* Leaves that count: states that differ in how often something may still come, beyond what a token can tell. */
#pragma once

#include "engine/grammar/rules/dfa.h"

/* A state that does the same as `leaf` with every text of at most `bytes` bytes, and is the same one for all counts
 * that are beyond that: a string of at most 1,000 characters has one mask for most of its length. RULES_NONE: failed. */
dfa_state clamp_leaf(struct rules *r, dfa_state leaf, uint32_t bytes);

/* A state with all texts that `leaf` has, and those that it had without the limits of what a text of it may begin in: one for all
 * that differ in these. The leaf itself where it has intersections or differences. RULES_NONE: failed. */
dfa_state clamp_lift(struct rules *r, dfa_state leaf);
