/* Sequences that are not in the batch, in order of rank, then of admission. Scheduler thread. The bounds are
 * those of the submission queue and of what may be set aside (scheduler.h). */
#pragma once

#include <stddef.h>

#include "engine/sched/sequence.h"

struct queue {
    struct sequence *first, *last;
    size_t count;
};

/* Whether a goes before b. */
static inline bool queue_before(const struct sequence *a, const struct sequence *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->order < b->order;
}

/* From the end: what arrives later usually belongs there. */
void queue_insert(struct queue *queue, struct sequence *s);
/* From the queue that it is in. */
void queue_remove(struct sequence *s);
/* b takes the rank and the place of a, which is before it in the same queue, and a takes those of b. */
void queue_exchange(struct sequence *a, struct sequence *b);
