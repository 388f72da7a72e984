/* How many draft tokens each sequence of a step gets: as many as make the most tokens of its time, by what the drafts
 * are worth and what rows cost. Pure: no sequence, no pool, no clock.
 *
 * The rules:
 *   - Drafts go to the step in order of their odds, whichever sequence they are of, up to the number with which the
 *     step has the most tokens a second.
 *   - None at all unless those are at least DRAFT_GAIN_MIN times as many as without: what is nearly even is left alone.
 *   - A sequence without drafts waits for those of others: such a step takes at most DRAFT_BYSTANDER_SLOWDOWN times as
 *     long as one without. */
#pragma once

#include "engine/sched/step_cost.h"

#define DRAFT_TOKENS_MAX         15 /* of a sequence in a step: with its own row the rows of a tile of AMX */
#define DRAFT_GAIN_MIN           1.05
#define DRAFT_BYSTANDER_SLOWDOWN 1.2

/* Of a sequence that decodes. */
struct draft_offer {
    size_t count;                     /* drafts that it has and may have */
    double chances[DRAFT_TOKENS_MAX]; /* that the first 1, 2 ... of them are all right; never rising */
};

/* Into drafts[count] how many each sequence gets, beside its own row; rows_max: rows of the whole step. Returns their
 * sum. *rate: the tokens a second that are expected; 0 without drafts. */
size_t draft_plan(const struct step_cost *cost, const struct draft_offer *offers, size_t count,
                  size_t rows_max, size_t *drafts, double *rate);

/* The same where drafts take time to make: `seconds` for the next one of all sequences together. Returns how many are
 * made of each sequence that offers as many; 0: none. */
size_t draft_plan_depth(const struct step_cost *cost, double seconds, const struct draft_offer *offers,
                        size_t count, size_t rows_max, double *rate);
