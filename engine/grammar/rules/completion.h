/* How many characters a text that has begun needs to its end: where more are left, a limit of the length decides nothing. */
#pragma once

#include "engine/grammar/rules/dfa.h"

/* Whatever text of x has been begun: parts that have not begun yet in the shortest text of x that goes on from there, at most.
 * RULES_UNLIMITED: not known, or a text of x is none of parts. False: failed. */
bool completion_find(struct rules *r, rules_expression x, rules_expression part, uint32_t *out);
/* The same where it has been found before; else RULES_UNLIMITED. */
uint32_t completion_known(const struct rules *r, rules_expression x, rules_expression part);
/* What was found, which struct rules has. */
void completion_forget(struct rules *r);

/* The parts of an expression that are an expression x and a number of parts that there are at most. */
struct limited {
    rules_expression x, part;
    uint32_t most;
};
/* Of an intersection, the i-th of two ways to see it so; false: it is none. */
bool completion_limited(const struct rules *r, rules_expression both, unsigned i, struct limited *out);
