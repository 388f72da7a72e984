#include "server/json/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE_BYTES ((size_t)1 << 20)

void bytes_deinit(struct bytes *b) {
    free(b->data);
    *b = (struct bytes){0};
}

/* Large buffers are moved without copying, so they need not double. */
static size_t growth(size_t capacity) {
    return capacity < LARGE_BYTES ? capacity : capacity / 4;
}

/* Makes room for length more bytes. */
static bool reserve(struct bytes *b, size_t length) {
    size_t need;
    if (b->failed || __builtin_add_overflow(b->length, length, &need)) return !(b->failed = true);
    if (need <= b->capacity) return true;
    size_t capacity = b->capacity ? b->capacity : 256;
    while (capacity < need)
        if (__builtin_add_overflow(capacity, growth(capacity), &capacity)) return !(b->failed = true);
    char *data = realloc(b->data, capacity);
    if (!data) return !(b->failed = true);
    b->data = data;
    b->capacity = capacity;
    return true;
}

void bytes_append(struct bytes *b, const void *data, size_t length) {
    if (!length || !reserve(b, length)) return;
    memcpy(b->data + b->length, data, length);
    b->length += length;
}

void bytes_text(struct bytes *b, const char *text) {
    bytes_append(b, text, strlen(text));
}

void bytes_format(struct bytes *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    if (length >= 0 && reserve(b, (size_t)length + 1)) { /* one more for vsnprintf's NUL */
        vsnprintf(b->data + b->length, (size_t)length + 1, format, again);
        b->length += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

void bytes_integer(struct bytes *b, int64_t value) {
    char digits[20]; /* of INT64_MIN with its sign */
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0) digits[--at] = '-';
    bytes_append(b, digits + at, sizeof digits - at);
}

void bytes_append_bytes(struct bytes *b, const struct bytes *other) {
    if (other->failed) b->failed = true;
    bytes_append(b, other->data, other->length);
}

void bytes_fit(struct bytes *b) {
    char *data = b->length && b->length < b->capacity ? realloc(b->data, b->length) : NULL;
    if (!data) return;
    b->data = data;
    b->capacity = b->length;
}

void bytes_clear(struct bytes *b) {
    b->length = 0;
}
