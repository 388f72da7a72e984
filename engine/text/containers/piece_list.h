/* A text cut into pieces, each a run of text or an added token that was found in it. The stages before the
 * model each read one list and write another. Running out of memory is remembered (as in text_buffer) and
 * checked once at the end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/text/containers/text_buffer.h"

struct piece {
    size_t start, length; /* in the list's text */
    int32_t id;           /* of an added token, or -1: text */
    bool first;           /* begins where the whole text begins */
};

struct piece_list {
    struct text_buffer text;
    struct piece *items;
    size_t count, capacity;
    bool failed;
};

void piece_list_deinit(struct piece_list *list);
void piece_list_clear(struct piece_list *list);
/* Appends a copy of the bytes as a piece; an empty run of text is left out. */
void piece_list_add(struct piece_list *list, const char *bytes, size_t length, int32_t id, bool first);
/* Makes a piece of what was appended to list->text since it was `start` bytes long. */
void piece_list_close(struct piece_list *list, size_t start, bool first);
static inline const char *piece_text(const struct piece_list *list, const struct piece *piece) {
    return list->text.bytes + piece->start;
}
enum status piece_list_status(const struct piece_list *list, struct error *e);
