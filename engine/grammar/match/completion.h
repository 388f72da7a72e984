/* How many characters a text that has begun needs to its end: where more are left, a limit of the length decides nothing. */
#pragma once

#include "engine/grammar/rules/dfa.h"

/* What was found, by state of the automaton. */
struct completions {
    rules_expression part; /* that the texts are divided into */
    uint32_t *known;       /* [count]: as completion_find says, and 1 more; 0: not known yet */
    size_t count, capacity;
    unsigned searches; /* that have not come to an end */
};

void completions_clear(struct rules *r, struct completions *c);
void completions_deinit(struct completions *c);
/* Whatever text of x has been begun: parts that have not begun yet in the shortest text of x that goes on from there, at most.
 * RULES_UNLIMITED: not known, or a text of x is none of parts. False: failed. */
bool completion_find(struct rules *r, struct completions *c, rules_expression x, rules_expression part,
                     uint32_t *out);
