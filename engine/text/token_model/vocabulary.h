/* Contents of tokens <-> ids: a hash table one way, an array the other. Ids may have gaps. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/text/containers/text_buffer.h"

/* The highest id that is believed: one line of a file must not make us reserve gigabytes. */
enum { VOCABULARY_ID_MAX = (1 << 21) - 1 };

struct vocabulary_entry {
    size_t offset; /* into text; the content ends with a NUL there */
    uint32_t length;
    bool present;
};

struct vocabulary {
    struct text_buffer text;
    struct vocabulary_entry *entries; /* [id] */
    size_t entry_capacity;
    size_t id_end;  /* one more than the highest id */
    size_t count;   /* distinct contents */
    int32_t *slots; /* open addressing: id, or -1 */
    size_t slot_count;
};

void vocabulary_deinit(struct vocabulary *v);
/* 0 <= id <= VOCABULARY_ID_MAX, an id that has no content yet. A content that is there already comes to mean
 * the new id (and the old id keeps it as its content). */
enum status vocabulary_add(struct vocabulary *v, const char *content, size_t length, int32_t id,
                           struct error *e);
/* The id of a content, or -1. */
int32_t vocabulary_find(const struct vocabulary *v, const char *content, size_t length);
/* The content of an id (NUL-terminated, *length may be NULL), borrowed until the next add; NULL if it has
 * none. */
const char *vocabulary_content(const struct vocabulary *v, int32_t id, size_t *length);
