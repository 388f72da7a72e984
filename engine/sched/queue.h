/* What waits: sequences in order of rank, then of admission. Scheduler thread. The bounds are the inbox's. */
#pragma once

#include <stddef.h>

#include "engine/sched/sequence.h"

struct queue {
    struct sequence *first, *last;
    size_t count;
};

/* Whether a goes before b. */
static inline bool queue_before(const struct sequence *a, const struct sequence *b) {
    return a->request->rank != b->request->rank ? a->request->rank < b->request->rank : a->order < b->order;
}

/* From the end: what arrives later usually belongs there. */
void queue_insert(struct queue *queue, struct sequence *s);
void queue_remove(struct queue *queue, struct sequence *s);
