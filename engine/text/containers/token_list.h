/* A growable list of ids; start from {0}; free() ids. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/text/containers/text_buffer.h"

struct token_list {
    int32_t *ids;
    size_t count, capacity;
};

/* false when there is no memory. */
static inline bool token_list_add(struct token_list *list, int32_t id) {
    if (!array_reserve(&list->ids, &list->capacity, list->count + 1)) return false;
    list->ids[list->count++] = id;
    return true;
}
