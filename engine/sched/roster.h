/* Who runs and who waits: arrivals, places, pages, ends. Scheduler thread. */
#pragma once

#include "engine/sched/scheduler_state.h"

/* Queues the choices of the requests; those that have nothing to compute end at once. */
void roster_take_arrivals(struct scheduler *s, struct engine_request *arrivals);

/* Ends what was cancelled or is past its time, in every state. */
void roster_sweep(struct scheduler *s, uint64_t now_ns);

/* Takes the pages that the next rows of running sequences need, preempting where there are too few, and lets
 * waiting ones run. */
void roster_make_room(struct scheduler *s, uint64_t now_ns);

/* When the leader of a request has computed the prompt: lets its next waiting sibling run from there, with
 * the same pages (a copy of the last one, if it is not full), so that it too can sample from the leader's
 * row. NULL: none is left, or there is no room; such siblings wait and come by themselves later. */
struct sequence *roster_fork(struct scheduler *s, const struct sequence *leader, uint64_t now_ns);

/* Describes the running sequences for the plan, in s->needs. */
void roster_describe(struct scheduler *s);

/* Ends a sequence in whatever state it is: pages back, the rest of its text and its FINISHED event out. The
 * request may be gone afterwards. progress->finish says how; failure: why, for FAILED. */
void roster_finish(struct scheduler *s, struct sequence *q, struct sequence_progress progress,
                   const struct error *failure, uint64_t now_ns);

/* Ends all. */
void roster_finish_all(struct scheduler *s);

/* When the next sequence is past its time; UINT64_MAX: never. */
uint64_t roster_next_deadline(const struct scheduler *s);

void roster_publish(struct scheduler *s);
