/* The merges that are possible in a word, the first in order on top: a binary heap. Start from {0}. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct merge_candidate {
    uint64_t order; /* the smallest is merged first */
    uint32_t value; /* what else there is to know of it */
};

struct merge_queue {
    struct merge_candidate *items;
    size_t count, capacity;
};

void merge_queue_deinit(struct merge_queue *q);
/* Empty, with room for the candidates of a word of so many symbols: each merge removes a symbol and adds at most two
 * candidates, so three times the symbols are always enough. false when there is no memory. */
bool merge_queue_begin(struct merge_queue *q, size_t symbols);
void merge_queue_push(struct merge_queue *q, struct merge_candidate candidate);
/* count > 0. */
struct merge_candidate merge_queue_pop(struct merge_queue *q);
