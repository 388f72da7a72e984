/* Who has a slot in the batch, and pages: what decodes gets its next page, what cannot go on makes way, what
 * waits comes in. Scheduler thread.
 *
 * Rank. Slots are given in order of rank, and the first that does not fit ends it: nobody who could run is
 * overtaken by one of worse rank, and a long prompt or one of many choices is not overtaken for ever. That
 * holds for every choice of a request. One whose sibling computes the prompt of both is let in like any
 * other, in its turn, and waits in its slot (JOINING), with the page that it will need for a copy of the
 * last one. Little is lost by that: rows of prompts are given in order of rank too, so that whoever were let
 * into such a slot would get what the leader leaves, nothing before the end of its prompt but where that is
 * scored faster than its reader reads. Where the leader leaves the batch, those that wait for it do too, and
 * come back in the same turn in order of rank, the first of them as the leader.
 *
 * Readers that do not read. A sequence whose event ring is full leaves the batch at once and keeps its pages. It
 * comes back, at its rank, when its reader has taken half of what there was; with its pages it goes on where
 * it was. Its pages are taken where others lack some: first of those that nobody reads, the worst rank first,
 * then of those that wait for a slot again, then of those that run. How many may be outside is bounded
 * (options.aside_max): past that, new ones wait. */
#pragma once

#include "engine/sched/scheduler_state.h"

/* Takes the pages that the next rows of running sequences need, and lets waiting ones run. */
void slots_make_room(struct scheduler *s, uint64_t now_ns);

/* Describes the sequences of the batch for the plan, in s->needs. */
void slots_describe(struct scheduler *s);

/* When the leader of a request has computed the prompt: lets the next sibling that joins run from there, with
 * the same pages (a copy of the last one, if it is not full), so that it too can sample from the leader's
 * row. NULL: there is no other. *next: 0 at first; where to look on. */
struct sequence *slots_fork(struct scheduler *s, const struct sequence *leader, uint32_t *next,
                            uint64_t now_ns);
