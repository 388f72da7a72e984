/* What must come next, whatever a model would rather say. */
#pragma once

#include "engine/grammar/match/matcher.h"

/* The bytes that are the only way on from a configuration, at most `most`: up to where there is a choice, or where the
 * text may end. Returns how many. */
size_t matcher_forced(struct matcher *m, configuration from, char *out, size_t most);
