/* Back to what was compiled: states are a cache of what rules and texts say, and what one text does not need any more
 * makes room for the next. */
#pragma once

#include "engine/grammar/match/matcher.h"

/* How much there was of everything. */
struct matcher_mark {
    uint32_t expressions, members, sets, dfa_states, dfa_rows, cells, others, items, configurations, rows;
    uint8_t *dfa_flags; /* [dfa_states] */
    size_t dfa_state_capacity;
};

/* Everything that is there now stays for ever. False: failed. */
bool matcher_mark(struct matcher *m, struct matcher_mark *mark);
void matcher_mark_deinit(struct matcher_mark *mark);

/* Forgets what came behind the mark, but for these configurations, which get new numbers; each stands there once or more
 * often. The list is put in order. CONFIGURATION_UNKNOWN becomes of one for which there is no memory (the rules hold the
 * failure). Masks of configurations and of leaves must be forgotten with it. There is no pause in it: its steps are spent by
 * whoever calls it. */
void matcher_reset(struct matcher *m, const struct matcher_mark *mark, configuration **kept, size_t count);
size_t matcher_reset_steps(const struct matcher *m);
