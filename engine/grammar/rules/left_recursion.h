/* Rules that cannot be matched from left to right. */
#pragma once

#include "engine/grammar/rules/expression.h"

/* Whether no rule that start leads to calls itself before it takes a byte; else fails with the rule's name. */
bool left_recursion_check(struct rules *r, rules_expression start);
