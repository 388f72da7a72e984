/* Who is here, and where: in the batch or in one of the queues; arrivals and ends. Who gets a slot is the
 * matter of batch_slots.h. Scheduler thread. */
#pragma once

#include "engine/sched/scheduler_state.h"

/* Queues the choices of the requests; those that have nothing to compute end at once. */
void sets_take_arrivals(struct scheduler *s, struct engine_request *arrivals);

/* Ends what was cancelled or is past its time, in every state. */
void sets_sweep(struct scheduler *s, uint64_t now_ns);

/* Ends a sequence in whatever state it is: pages back, the rest of its text and its FINISHED event out. The
 * request may be gone afterwards. progress->finish says how; failure: why, for FAILED. */
void sets_finish(struct scheduler *s, struct sequence *q, struct sequence_progress progress,
                 const struct error *failure, uint64_t now_ns);

/* Ends all. */
void sets_finish_all(struct scheduler *s);

void sets_publish(struct scheduler *s);

/* ---- for batch_slots.c -------------------------------------------------------------------------------------- */

/* The same where it failed. */
void sets_fail(struct scheduler *s, struct sequence *q, enum status code, const struct error *e,
               uint64_t now_ns);

/* From its queue into the batch, in a state of the batch. Where clients take turns, one that has never had a
 * slot has the turn, and takes the first turn of the queue. */
void sets_give_slot(struct scheduler *s, struct sequence *q, enum sequence_state state);

/* From where it is into a queue, in a state of that. */
void sets_set_aside(struct scheduler *s, struct sequence *q, enum sequence_state state, struct queue *queue);

/* Out of the batch or its queue, into nothing. */
void sets_remove(struct scheduler *s, struct sequence *q);

/* Where it computes the prompt for its siblings, nobody does any more. */
void sets_give_up_lead(struct sequence *q);

static inline double sets_seconds(uint64_t from_ns, uint64_t to_ns) {
    return to_ns > from_ns ? (double)(to_ns - from_ns) * 1e-9 : 0;
}
