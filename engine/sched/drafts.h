/* Speculation: rows for tokens that a sequence may say next, computed in the same step as the row that decides on the
 * first of them. Each row is sampled as it would be alone, from its own logits with the random numbers of its position,
 * and a draft holds where it is the sampled token: so what is said is the same with and without. Scheduler thread.
 *
 * Drafts stand behind a sequence's tokens and take pages for this step alone: where there are no pages to spare they
 * are left out. Sequences that compute prompts come first: while there are any, nobody has drafts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/sched/draft_plan.h"

struct scheduler;
struct sequence;

/* Of the scheduler. Start from zeros, and cost.row_cost. Drafts of a step are all of texts, or all of the model
 * itself. */
struct drafting {
    struct step_cost cost;
    size_t steps; /* with drafts, since the last without */
    /* Of the step that is being planned: sequences that have drafts to offer or not, in the order of the batch. */
    size_t running[STEP_COST_ROWS_MAX]; /* of each, its place in the batch */
    struct draft_offer offers[STEP_COST_ROWS_MAX];
    int32_t forced[STEP_COST_ROWS_MAX][DRAFT_TOKENS_MAX]; /* where a grammar's are offered */
    size_t most[STEP_COST_ROWS_MAX];                      /* drafts of any source */
    size_t drafts[STEP_COST_ROWS_MAX];
};

/* Adds rows for drafts to the shares of a plan that has so many rows; returns how many. */
size_t drafts_add(struct scheduler *s, size_t rows);

/* A token was appended to the sequence. */
void drafts_see(const struct scheduler *s, struct sequence *q);

/* A draft is the token that was sampled. */
void drafts_held(struct scheduler *s, struct sequence *q);

/* The last of its rows in this step that holds was delivered; is_wrong: there were more. The pages of those come
 * back. */
void drafts_settle(struct scheduler *s, struct sequence *q, bool is_wrong);

/* A step of decode rows and drafts is over; the seconds are those of all of it. */
void drafts_observe(struct scheduler *s, size_t rows, double seconds);
