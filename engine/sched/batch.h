/* The plan of a step, as pure functions of what the running sequences need and what there is: no sequence, no
 * pool, no clock. Sequences are given in order of rank, the one that goes first in front.
 *
 * The rules:
 *   - Sequences that decode come first, one row each: their readers wait for the next token.
 *   - Then prefill, in order of rank: the first takes what it can use, the next what is left. Beside decode
 *     rows a step takes only so many prefill rows that it stays about as fast as without them
 *     (batch_prefill_rows), unless it gives the first token to more readers than it keeps waiting
 *     (batch_burst_rows).
 *   - A sequence that needs a page and finds none takes it from the last in rank; the first in rank that can
 *     run is never a victim, so it always gets on, and so does everyone in turn: rank is by arrival.
 *   - One that waits runs when a place is free and the pages of all its rows are there besides one for each
 *     that runs: whoever was just let in should not be thrown out by the next token of the others.
 * Nothing here changes a result: the bits of a row do not depend on the step it is computed in. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Sixteen clients that come together, with prompts of some thirty tokens: what a reader of a running stream
 * waits for is bounded, however many rows a step may have. */
#define BATCH_BURST_ROWS_MAX 512

struct batch_limits {
    size_t rows;               /* of a step */
    size_t logit_rows;         /* of which need logits */
    size_t sequences;          /* that run at once; at most rows and logit_rows */
    size_t mixed_prefill_rows; /* prefill rows beside decode rows (prefill_budget.h) */
};

struct batch_sequence {
    bool decoding;   /* its next row is the one of the last sampled token */
    size_t pending;  /* rows still to be computed */
    size_t plain;    /* the first so many need no logits */
    size_t room;     /* events its event ring has room for; each row with logits makes one */
    size_t held;     /* pages that come free when it is preempted */
    bool needs_page; /* for its next row, which it cannot have without */
    bool
        joining; /* has a place and no rows yet: waits for a sibling that computes its prompt, or for its mask */
};

struct batch_share {
    size_t rows;
    size_t logit_rows; /* the last so many */
};

/* Whether the sequence can use a row now. */
static inline bool batch_can_run(const struct batch_sequence *s) {
    return s->pending > 0 && (s->plain > 0 || s->room > 0);
}

/* Pages that those that can run lack for their next rows. */
size_t batch_pages_needed(const struct batch_sequence *sequences, size_t count);

/* Who has to give its pages back so that those that decode have their next page; victims[count]. Returns how
 * many. */
size_t batch_preempt(const struct batch_sequence *sequences, size_t count, size_t free_pages, bool *victims);

/* How many sequences will decode in the next step: the rows that it has for certain. */
size_t batch_decode_rows(const struct batch_sequence *sequences, size_t count);

/* Prefill rows that a step may have beside so many decode rows. */
size_t batch_prefill_rows(const struct batch_limits *limits, size_t decode_rows);

/* Prefill rows of a burst of short prompts: those of the prompts, in order of rank up to the first that it
 * cannot, that the step finishes beside the decode rows. At most BATCH_BURST_ROWS_MAX, and 0 unless they are
 * more prompts than there are decode rows. How often there may be one is the step's to say (prefill_budget.h). */
size_t batch_burst_rows(const struct batch_limits *limits, const struct batch_sequence *sequences,
                        size_t count);

/* Rows of each sequence in the next step; shares[count]. Returns the sum. */
size_t batch_share_rows(const struct batch_limits *limits, const struct batch_sequence *sequences,
                        size_t count, struct batch_share *shares);

/* Whether a waiting sequence may run that takes `needed` free pages, with `running` others. */
bool batch_admits(const struct batch_limits *limits, size_t running, size_t free_pages, size_t needed);
