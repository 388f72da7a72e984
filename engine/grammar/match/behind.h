/* Tokens that leave a leaf: what is below the nodes where it may end is decided by what comes behind it. */
#pragma once

#include "engine/grammar/match/mask.h"

/* Adds them to bits, which have what leaves allow by themselves: only what is missing there is looked for. False: failed. */
bool masks_add_behind(struct masks *s, const struct leaf_mask *leaf, configuration behind, uint32_t *bits);
