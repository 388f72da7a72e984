/* Which part of a regular expression is taken as one leaf. Behind the leaf stands what follows, on the stack, so that
 * all strings of a JSON document are in the same few states of leaves whatever comes behind them: the masks of these
 * states are made once. */
#pragma once

#include "engine/grammar/rules/expression.h"

enum leading_kind {
    LEADING_LEAF, /* *leading is a leaf, *rest comes behind it */
    LEADING_OPEN, /* a choice, a repeat or a call, to be looked into; *rest comes behind it */
    LEADING_FAILED,
};
/* x is not the empty text. */
enum leading_kind leading_split(struct rules *r, rules_expression x, rules_expression *leading,
                                rules_expression *rest);
