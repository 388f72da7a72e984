/* Bytes that grow: bodies that come in and answers that go out. Running out of memory is remembered in
 * `failed` and checked once at the end, so that writers need no test after every append; a failed buffer
 * takes nothing more. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    char *data; /* not NUL-terminated; NULL while empty */
    size_t length, capacity;
    bool failed;
};

void bytes_deinit(struct bytes *b);
void bytes_append(struct bytes *b, const void *data, size_t length);
void bytes_text(struct bytes *b, const char *text);
void bytes_format(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* In decimal: much cheaper than bytes_format, for what is written with every token. */
void bytes_integer(struct bytes *b, int64_t value);
void bytes_append_bytes(struct bytes *b, const struct bytes *other);

/* Gives back storage that the content does not need. */
void bytes_fit(struct bytes *b);

/* Forgets the content, keeps the storage. */
void bytes_clear(struct bytes *b);
