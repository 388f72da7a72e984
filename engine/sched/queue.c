#include "engine/sched/queue.h"

#include <assert.h>

void queue_insert(struct queue *queue, struct sequence *s) {
    struct sequence *after = queue->last;
    while (after && queue_before(s, after)) after = after->previous;
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

void queue_remove(struct queue *queue, struct sequence *s) {
    assert(queue->count > 0);
    if (s->previous)
        s->previous->next = s->next;
    else
        queue->first = s->next;
    if (s->next)
        s->next->previous = s->previous;
    else
        queue->last = s->previous;
    s->previous = s->next = NULL;
    queue->count--;
}
