#include "engine/sched/queue.h"

#include <assert.h>

/* after NULL: in front. */
static void insert_after(struct queue *queue, struct sequence *s, struct sequence *after) {
    s->queue = queue;
    s->previous = after;
    s->next = after ? after->next : queue->first;
    if (s->next)
        s->next->previous = s;
    else
        queue->last = s;
    if (after)
        after->next = s;
    else
        queue->first = s;
    queue->count++;
}

void queue_insert(struct queue *queue, struct sequence *s) {
    assert(!s->queue);
    struct sequence *after = queue->last;
    while (after && queue_before(s, after)) after = after->previous;
    insert_after(queue, s, after);
}

void queue_remove(struct sequence *s) {
    struct queue *queue = s->queue;
    assert(queue && queue->count > 0);
    if (s->previous)
        s->previous->next = s->next;
    else
        queue->first = s->next;
    if (s->next)
        s->next->previous = s->previous;
    else
        queue->last = s->previous;
    s->previous = s->next = NULL;
    s->queue = NULL;
    queue->count--;
}

void queue_exchange(struct sequence *a, struct sequence *b) {
    struct queue *queue = a->queue;
    struct sequence *before_a = a->previous, *before_b = b->previous;
    assert(queue && b->queue == queue && queue_before(a, b));
    int64_t rank = a->rank;
    uint64_t order = a->order;
    a->rank = b->rank, a->order = b->order;
    b->rank = rank, b->order = order;
    queue_remove(b);
    insert_after(queue, b, before_a);
    if (before_b == a) return; /* a stands behind b now */
    queue_remove(a);
    insert_after(queue, a, before_b);
}
