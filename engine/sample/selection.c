#include "engine/sample/selection.h"

#include <math.h>
#include <stdbool.h>

static inline bool is_worse(struct candidate a, struct candidate b) {
    return a.value < b.value || (a.value == b.value && a.id > b.id);
}

/* Restores the heap (worst on top) below `at`. */
static void sift_down(struct candidate *heap, size_t count, size_t at) {
    struct candidate moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && is_worse(heap[child + 1], heap[child])) child++;
        if (!is_worse(heap[child], moved)) break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

/* Moves the worst to the end, again and again. */
static void sort_heap(struct candidate *heap, size_t count) {
    while (count > 1) {
        struct candidate worst = heap[0];
        heap[0] = heap[--count];
        sift_down(heap, count, 0);
        heap[count] = worst;
    }
}

size_t selection_best(const float *row, size_t count, size_t wanted, struct candidate *out) {
    size_t held = 0, i = 0;
    for (; i < count && held < wanted; i++)
        if (row[i] > -INFINITY) out[held++] = (struct candidate){row[i], (int32_t)i};
    for (size_t at = held / 2; at-- > 0;) sift_down(out, held, at);
    /* From here on an equal value has a higher index than all that are held: only a larger one gets in. */
    if (held > 0)
        for (; i < count; i++)
            if (row[i] > out[0].value) {
                out[0] = (struct candidate){row[i], (int32_t)i};
                sift_down(out, held, 0);
            }
    sort_heap(out, held);
    return held;
}
