/* Cells and configurations by their content: each exists once. */
#pragma once

#include "engine/grammar/match/matcher.h"

enum { CELL_END = 0, CELL_FAILED = UINT32_MAX };

bool intern_init(struct matcher *m);
/* `rest` and then `next`; `next` itself where rest is the empty text. CELL_FAILED: failed. */
uint32_t intern_cell(struct matcher *m, rules_expression rest, uint32_t next);
/* By which a cell is found. */
uint32_t intern_cell_hash(const struct matcher *m, const struct cell *c);
/* What was found in this making. CONFIGURATION_FAILED: failed. */
configuration intern_configuration(struct matcher *m);
/* *fresh: the pair was not there yet in this making. False: failed. */
bool intern_pair(struct matcher *m, rules_expression x, uint32_t cell, bool *fresh);
