#include "engine/text/containers/piece_list.h"

#include <stdlib.h>

void piece_list_deinit(struct piece_list *list) {
    text_buffer_deinit(&list->text);
    free(list->items);
    *list = (struct piece_list){0};
}

void piece_list_clear(struct piece_list *list) {
    text_buffer_clear(&list->text);
    list->count = 0;
}

static void append(struct piece_list *list, struct piece piece) {
    if (array_reserve(&list->items, &list->capacity, list->count + 1))
        list->items[list->count++] = piece;
    else
        list->failed = true;
}

void piece_list_add(struct piece_list *list, const char *bytes, size_t length, int32_t id, bool first) {
    if (length == 0 && id < 0) return;
    size_t start = list->text.length;
    text_buffer_append(&list->text, bytes, length);
    append(list, (struct piece){.start = start, .length = length, .id = id, .first = first});
}

void piece_list_close(struct piece_list *list, size_t start, bool first) {
    if (list->text.length == start) return;
    append(list,
           (struct piece){.start = start, .length = list->text.length - start, .id = -1, .first = first});
}

enum status piece_list_status(const struct piece_list *list, struct error *e) {
    return list->failed || list->text.failed ? text_no_memory(e) : STATUS_OK;
}
