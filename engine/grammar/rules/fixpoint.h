/* Questions to a graph of expressions that calls itself: the least fixed point, from parts to what they are parts of. */
#pragma once

#include "engine/grammar/rules/expression.h"

/* What is asked: something that holds for an expression when it holds for all its parts, or (choices) for any of them. */
enum fixpoint_question {
    FIXPOINT_REGULAR,    /* leads to no call of itself: all parts, and the rule that is called */
    FIXPOINT_PRODUCTIVE, /* matches some text */
    FIXPOINT_NULLABLE,   /* matches the empty text */
};

struct fixpoint {
    bool *holds;     /* [count]: by expression; the caller frees both */
    uint32_t *order; /* those that are not regular in themselves, as they were found to hold: parts first */
    size_t order_count, count;
};

/* Over all expressions there are now. False: failed (nothing to free). */
bool fixpoint_solve(struct rules *r, enum fixpoint_question question, struct fixpoint *out);
void fixpoint_deinit(struct fixpoint *f);
