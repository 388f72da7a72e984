/* A growable run of bytes. Running out of memory is remembered, not reported at each append: whoever built a
 * text asks once, at the end. Start from {0}. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

/* Bytes of one buffer. Replacements can make a text grow without end; what would go beyond counts as out of
 * memory. */
#define TEXT_BUFFER_BYTES_MAX ((size_t)256 << 20)

struct text_buffer {
    char *bytes;
    size_t length, capacity;
    bool failed; /* an append found no memory; the content is then of no use */
};

void text_buffer_deinit(struct text_buffer *b);
/* Length 0 again; the memory and the memory of a failure are kept. */
void text_buffer_clear(struct text_buffer *b);
/* bytes must not lie within b itself. */
void text_buffer_append(struct text_buffer *b, const char *bytes, size_t length);
void text_buffer_append_byte(struct text_buffer *b, char byte);
/* UTF-8 of one code point. */
void text_buffer_append_point(struct text_buffer *b, int32_t point);
/* Drops the first count bytes. */
void text_buffer_drop_front(struct text_buffer *b, size_t count);
/* Room for count elements in *items (a pointer to a pointer): doubled as needed, false when there is no
 * memory. */
#define array_reserve(items, capacity, count)                                                                \
    ({                                                                                                       \
        void *grown_ = *(items);                                                                             \
        bool reserved_ = array_grow(&grown_, (capacity), (count), sizeof **(items));                         \
        *(items) = grown_;                                                                                   \
        reserved_;                                                                                           \
    })
bool array_grow(void **items, size_t *capacity, size_t count, size_t size);
enum status text_buffer_status(const struct text_buffer *b, struct error *e);
/* STATUS_NO_MEMORY with the words of this stage. */
enum status text_no_memory(struct error *e);
