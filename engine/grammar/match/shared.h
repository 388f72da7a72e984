/* The mask of a loop with a limit, or of what a length limits, out of that of the same without: by a walk through the nodes in
 * which they may differ. */
#pragma once

#include "engine/grammar/match/mask.h"

/* In s->bits and s->exits; `from` lies elsewhere. They differ in nodes that go on for longer than the limit. False: failed. */
bool shared_make_mask(struct masks *s, dfa_state leaf, dfa_state unlimited, const struct leaf_mask *from);
