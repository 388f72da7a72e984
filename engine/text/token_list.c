#include "engine/text/token_list.h"

#include "engine/text/text_buffer.h"

bool token_list_add(struct token_list *list, int32_t id) {
    if (!array_reserve(&list->ids, &list->capacity, list->count + 1)) return false;
    list->ids[list->count++] = id;
    return true;
}
