#include "engine/text/containers/text_buffer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/text/unicode/unicode.h"

enum { CAPACITY_FIRST = 64 };

void text_buffer_deinit(struct text_buffer *b) {
    free(b->bytes);
    *b = (struct text_buffer){0};
}

void text_buffer_clear(struct text_buffer *b) {
    b->length = 0;
}

bool array_grow(void **items, size_t *capacity, size_t count, size_t size) {
    if (count <= *capacity) return true;
    size_t wanted = *capacity ? *capacity : CAPACITY_FIRST, bytes;
    while (wanted < count)
        if (!memory_multiply(wanted, 2, &wanted)) return false;
    if (!memory_multiply(wanted, size, &bytes)) return false;
    void *grown = realloc(*items, bytes);
    if (!grown) return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

static bool reserve(struct text_buffer *b, size_t more) {
    size_t total;
    if (b->failed) return false;
    if (__builtin_add_overflow(b->length, more, &total) || total > TEXT_BUFFER_BYTES_MAX ||
        !array_reserve(&b->bytes, &b->capacity, total))
        b->failed = true;
    return !b->failed;
}

void text_buffer_append(struct text_buffer *b, const char *bytes, size_t length) {
    if (length == 0 || !reserve(b, length)) return;
    memcpy(b->bytes + b->length, bytes, length);
    b->length += length;
}

void text_buffer_append_byte(struct text_buffer *b, char byte) {
    if (reserve(b, 1)) b->bytes[b->length++] = byte;
}

void text_buffer_append_point(struct text_buffer *b, int32_t point) {
    char bytes[UTF8_BYTES_MAX];
    text_buffer_append(b, bytes, utf8_encode(point, bytes));
}

void text_buffer_drop_front(struct text_buffer *b, size_t count) {
    if (count == 0) return;
    memmove(b->bytes, b->bytes + count, b->length - count);
    b->length -= count;
}

enum status text_no_memory(struct error *e) {
    return error_set(e, STATUS_NO_MEMORY, "tokenizer",
                     "no memory for the text at hand, or it grows beyond all bounds");
}

enum status text_buffer_status(const struct text_buffer *b, struct error *e) {
    return b->failed ? text_no_memory(e) : STATUS_OK;
}
