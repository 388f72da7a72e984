/* How many prefill rows may ride along with decode rows so that readers of running streams hardly notice: as
 * many as keep a step within PREFILL_BUDGET_SLOWDOWN of one without them. Measured, because it depends on the machine
 * and the model: where a step of few rows waits for weights from memory, more rows are nearly free; where it
 * computes, each costs. Only times depend on it, never results. Scheduler thread.
 *
 * A burst of short prompts (batch_burst_rows) may have more rows than that: never in place of the step
 * without prefill that comes after PREFILL_BUDGET_MIXED_STEPS_MAX others, among which it counts, and never twice in a
 * row (step.c). */
#pragma once

#include <stddef.h>

#define PREFILL_BUDGET_SLOWDOWN 1.6 /* below 2, for what measuring misses */
#define PREFILL_BUDGET_ROWS_MIN 4   /* a prompt gets on, whatever was measured */
#define PREFILL_BUDGET_ROWS_UNKNOWN                                                                          \
    16 /* before anything was measured; with more decode rows, as many as those */
#define PREFILL_BUDGET_ROWS_FREE       512 /* that many rows cost at least as much as a step of decode rows alone */
#define PREFILL_BUDGET_MIXED_STEPS_MAX 8 /* then one step without prefill, to measure that again */

/* Start from zeros. */
struct prefill_budget {
    double decode_seconds; /* of a step of decode rows alone, smoothed; 0: not measured */
    double row_seconds;    /* that a prefill row adds, smoothed; 0: not measured */
    size_t prefill_rows;   /* of the last step that had both */
    size_t mixed_steps;    /* since the last step of decode rows alone */
};

/* For a step with so many decode rows, at least 1. */
size_t prefill_budget_prefill_rows(const struct prefill_budget *budget, size_t decode_rows);

/* After each step without drafts. */
void prefill_budget_observe(struct prefill_budget *budget, size_t decode_rows, size_t prefill_rows,
                            double seconds);
