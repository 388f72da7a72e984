/* SentencePiece's compiled character map ("Precompiled"): a double-array trie (Aoe, 1989, as darts-clone lays
 * it out) from characters to their replacements. It is checked as a whole when read, so that no lookup leaves
 * it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/containers/text_buffer.h"

struct character_map {
    uint32_t *units;
    size_t unit_count;
    struct text_buffer replacements; /* each ends with a NUL */
};

/* Reads "precompiled_charsmap" (base64) of the place, which must be there. deinit also after an error. */
enum status character_map_init(struct character_map *m, const struct json_path *path, struct error *e);
void character_map_deinit(struct character_map *m);

/* Appends the mapped text to out. Grapheme clusters are mapped as one where they are short, else by
 * character. *dropped: whether what the text begins with was mapped to nothing. */
void character_map_append(const struct character_map *m, const char *text, size_t length,
                          struct text_buffer *out, bool *dropped);

/* The replacement (NUL-terminated, borrowed) of the longest key that text begins with, as SentencePiece itself looks
 * it up, and the bytes of that key; NULL: none. *open (may be NULL): the whole text is the beginning of some longer
 * key, so that what follows may change the answer. */
const char *character_map_longest(const struct character_map *m, const char *text, size_t length,
                                  size_t *key_length, bool *open);
