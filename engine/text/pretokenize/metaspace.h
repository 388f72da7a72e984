/* The Metaspace component, which is both a pre-tokenizer and a decoder: blanks are written as a character
 * that prints
 * ("▁"), and words begin with it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/containers/text_buffer.h"

struct metaspace {
    int32_t replacement;
    enum { METASPACE_ALWAYS, METASPACE_FIRST, METASPACE_NEVER } prepend;
    bool split;
};

enum status metaspace_read(struct metaspace *m, const struct json_path *path, struct error *e);

/* Appends text with its blanks replaced, and a replacement before it where the scheme says so. first: the
 * text begins the whole text. */
void metaspace_replace(const struct metaspace *m, const char *text, size_t length, bool first,
                       struct text_buffer *out);
