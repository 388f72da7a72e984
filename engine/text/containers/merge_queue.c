#include "engine/text/containers/merge_queue.h"

#include <stdlib.h>

#include "engine/text/containers/text_buffer.h"

void merge_queue_deinit(struct merge_queue *q) {
    free(q->items);
    *q = (struct merge_queue){0};
}

bool merge_queue_begin(struct merge_queue *q, size_t symbols) {
    q->count = 0;
    return array_reserve(&q->items, &q->capacity, 3 * symbols);
}

void merge_queue_push(struct merge_queue *q, struct merge_candidate candidate) {
    size_t at = q->count++;
    for (; at > 0 && q->items[(at - 1) / 2].order > candidate.order; at = (at - 1) / 2)
        q->items[at] = q->items[(at - 1) / 2];
    q->items[at] = candidate;
}

static void sift_down(struct merge_candidate *heap, size_t count, size_t at) {
    struct merge_candidate moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1].order < heap[child].order) child++;
        if (heap[child].order >= moved.order) break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

struct merge_candidate merge_queue_pop(struct merge_queue *q) {
    struct merge_candidate top = q->items[0];
    q->items[0] = q->items[--q->count];
    if (q->count > 0) sift_down(q->items, q->count, 0);
    return top;
}
