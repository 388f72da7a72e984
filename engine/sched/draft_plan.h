/* How many draft tokens each sequence of a step gets: as many as make the most tokens of its time, by what the drafts
 * are worth and what rows cost. Pure: no sequence, no pool, no clock.
 *
 * The rules:
 *   - Drafts go to the step in order of their odds, whichever sequence they are of, and the number of them all is
 * where the step has the most tokens a second.
 *   - None at all unless that is DRAFT_GAIN_MIN of the step without: what is nearly even is left alone.
 *   - A sequence without drafts waits for those of others: no more than DRAFT_BYSTANDER_SLOWDOWN of a step without. */
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

/* drafts[count]: of each, a step of which each has one row beside them. rows_max: rows of the step. *rate: tokens a
 * second that are expected, 0 without drafts. Returns their sum. */
size_t draft_plan(const struct step_cost *cost, const struct draft_offer *offers, size_t count,
                  size_t rows_max, size_t *drafts, double *rate);

/* Where drafts cost: the next of all sequences together so many seconds. How many each gets, that offers as many. */
size_t draft_plan_depth(const struct step_cost *cost, double seconds, const struct draft_offer *offers,
                        size_t count, size_t rows_max, double *rate);
