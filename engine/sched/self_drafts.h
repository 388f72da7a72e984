/* Drafts by the model itself, in weights that are faster to read: a second backend over the same pages, a step of it
 * for the next draft of all sequences together. It reads the keys and values of the model where the sequence's tokens
 * are, and writes its own behind them, which the step that decides on the drafts overwrites. Its tokens are sampled
 * with the random numbers of their positions, so that they agree at any temperature as often as the two models do.
 * How far it goes is decided draft by draft: what the drafter itself thinks likely is nearly always right, and behind
 * what it doubts a further one is seldom worth its time. Scheduler thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/sched/draft_plan.h"
#include "engine/sched/step.h"

#define SELF_DRAFT_CLASSES 4 /* by the probability that the drafter gives what it drafts */

/* Of the scheduler. Start from zeros. */
struct self_drafting {
    struct step_cost cost;                   /* of its steps */
    uint32_t hits, trials;                   /* of all sequences, of late, */
    uint32_t class_hits[SELF_DRAFT_CLASSES]; /* and by how likely the drafter thought them */
    uint32_t class_trials[SELF_DRAFT_CLASSES];
    size_t idle;                               /* steps without such drafts since the last with some */
    double seconds;                            /* that the drafts of the step at hand took */
    size_t count, targets[STEP_COST_ROWS_MAX]; /* sequences that are drafted for, and how far at most */
    struct sequence *sequences[STEP_COST_ROWS_MAX];
    double all_right[STEP_COST_ROWS_MAX]; /* the probability that every draft that it has is right */
    bool done[STEP_COST_ROWS_MAX];        /* a further one would not pay */
    size_t deepest;                       /* drafts of each, at most */
    size_t row_count, rows_max;           /* of the step that decides, with the drafts that are made */
    double tokens, planned_seconds;       /* that are expected of these; that making them takes */
    size_t places[STEP_COST_ROWS_MAX];    /* of each row, its sequence among those */
    struct step_entry entries[STEP_COST_ROWS_MAX];
    struct step_row rows[STEP_COST_ROWS_MAX];
    struct draft_offer offers[STEP_COST_ROWS_MAX];
};

/* Room in its forward pass. */
#define SELF_DRAFT_ROWS_MAX STEP_COST_ROWS_MAX

/* What it would offer the sequence, at most so many. */
void self_drafts_offer(const struct scheduler *s, const struct sequence *q, size_t most,
                       struct draft_offer *offer);

/* How deep it should draft for these if nothing were known of the single drafts, and the tokens a second that are
 * expected of it; 0: not at all. *at_most: how deep it may. */
size_t self_drafts_depth(struct scheduler *s, const struct draft_offer *offers, size_t count, size_t rows_max,
                         size_t *at_most, double *rate);

/* Begins the list of those that are drafted for, at most so deep, in a step that has so many rows without drafts and may
 * have rows_max; adds one, whose pages for so many drafts are there; and drafts for all: behind their tokens, q->drafts
 * of each. */
void self_drafts_begin(struct scheduler *s, size_t deepest, size_t rows, size_t rows_max);
void self_drafts_add(struct scheduler *s, struct sequence *q, size_t target);
void self_drafts_run(struct scheduler *s);

/* The next draft of it was right, or not. */
void self_drafts_count(struct scheduler *s, struct sequence *q, bool is_right);
