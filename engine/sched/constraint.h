/* The grammar of a request along its sequences: which tokens may come next, and when the text is complete. A function of
 * the tokens alone. Before each turn every sequence's next mask is made, by the workers, within bounds that are counts of
 * steps and no times: where one takes more, its sequence sits out the turn and goes on in the next, so that no text and no
 * grammar holds up others. That changes no byte.
 *
 * Of a turn's steps for those that sit out half go to whoever has had fewest, so that one that takes little is not behind
 * those that take much, and half to whoever has waited for longest, so that everyone gets on. */
#pragma once

#include "engine/sched/sequence.h"

struct scheduler;
struct step_row;

/* Steps of one turn; some 0.15 µs each. */
enum {
    CONSTRAINT_WAITING_STEPS = 8192, /* for all that sit out, together */
    CONSTRAINT_PIECE_STEPS = 1024,   /* of them to one at a time */
    CONSTRAINT_ROW_STEPS =
        512, /* for each row that goes on, before it sits out; each draft, each look ahead */
    CONSTRAINT_NEW_STEPS = 8192, /* for those that go on, together, where one takes more than that */
};

/* Makes the masks of those of the batch that have none, for as many as it takes little. Those that ended before, though
 * that was not known then, are finished; so is what fails. is_second: only those that came in since the first time. */
void constraint_make_masks(struct scheduler *s, bool is_second, uint64_t now_ns);

/* Whether a sequence has to sit out: its next mask is not there yet. */
bool constraint_waits(const struct sequence *q);

/* Nobody waits for its next mask for the time being. */
void constraint_leave(struct sequence *q);
/* Nor ever again: its place is nobody's any more, whenever its reader lets go of it. */
void constraint_end(struct sequence *q);

/* The row's mask: the grammar's tokens, and the model's end tokens and the request's stop tokens, where the text may end. Of
 * a draft it is made here. BUSY: that takes too much now. Any worker, with its scratch; good until the next call with
 * that. */
enum status constraint_mask(const struct scheduler *s, const struct step_row *row, uint32_t *scratch,
                            const uint32_t **mask, struct grammar_steps *steps);

/* Time that was spent on it before the step; once. */
uint64_t constraint_take_ns(const struct step_row *row);

/* Whether the text is complete behind the row's token: nothing can follow. Where the row is the last of its sequence the next mask is
 * made at once, if it takes little. BUSY, NO_MEMORY: it is not known yet. */
enum status constraint_complete(const struct scheduler *s, const struct step_row *row, uint32_t *scratch,
                                bool *complete, struct grammar_steps *steps);

/* Why there is no mask: LIMIT or NO_MEMORY. */
void constraint_explain(enum status status, struct error *e);

/* How many of the drafts behind a sequence's tokens can all be true, as far as is known. */
size_t constraint_fitting_drafts(struct sequence *q, size_t drafts);
