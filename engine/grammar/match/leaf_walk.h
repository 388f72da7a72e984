/* What a leaf decides by itself, by a walk through the trie: it begins with what slices say at once, and passes over subtrees that are
 * known as a whole. */
#pragma once

#include "engine/grammar/match/mask.h"

/* Into s->bits and s->exits. False: failed. */
bool leaf_walk(struct masks *s, dfa_state leaf);
