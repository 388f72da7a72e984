/* What a step of decode rows costs, by its rows: measured, since it depends on the machine, the weights and the
 * threads. Where a step waits for weights from memory more rows are nearly free, where it computes each costs. Only the
 * number of drafts depends on it, never a result. Scheduler thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define STEP_COST_ROWS_MAX 64 /* steps of more are not measured, and have no drafts */

/* Start from zeros. */
struct step_cost {
    double seconds[STEP_COST_ROWS_MAX + 1]; /* by rows, smoothed; 0: not measured */
    double row_cost; /* if not 0: a step costs 1, and so much more for each row but the first; nothing is
                        measured. For tests, whose steps must not depend on the time. */
};

/* A step of so many rows, all of them of sequences that decode. */
void step_cost_observe(struct step_cost *cost, size_t rows, double seconds);

/* Whether a step of so many rows was measured. */
bool step_cost_is_known(const struct step_cost *cost, size_t rows);

/* Of a step of so many rows, between those that were measured and beyond, at most STEP_COST_ROWS_MAX; at least one
 * of fewer rows must be known. Never less for more rows. */
double step_cost_of(const struct step_cost *cost, size_t rows);
