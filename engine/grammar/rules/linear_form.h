/* What is left of an expression behind each byte. */
#pragma once

#include "engine/grammar/rules/expression.h"

/* Working memory, in struct rules. */
void linear_form_destroy(struct rules *r);

/* targets[class]: what is left of x (which is regular) behind a byte of that class. */
bool linear_form_targets(struct rules *r, rules_expression x, rules_expression targets[256]);

/* The same as states of the automaton of dfa.c, which remembers it; NULL: failed. Good until the next call. */
const uint32_t *dfa_any_row(struct rules *r, rules_expression x);
