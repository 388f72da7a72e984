/* Loops with a limit in which each text is divided in one way: how often the part is begun in each token. The mask of the
 * loop with a limit is that of the same one without, but for the tokens in which the part is begun more often than it may
 * be: it is walked through once for all limits. */
#pragma once

#include "engine/grammar/match/mask.h"

/* Whether the mask of such a leaf can be told by counts. */
bool counts_tell(const struct leaf_loop *loop, bool wants_exits);
/* Makes the mask of the leaf, a loop with a limit, out of the other, which is that of the same without: in s->bits and s->exits. Counts
 * are kept beside that where it is kept and there is room. False: failed. */
bool counts_make_mask(struct masks *s, const struct leaf_loop *loop, const struct leaf_mask *from);
