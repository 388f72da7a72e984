/* The normalizer of the sentencepiece library, exactly: its character map, what it does to blanks, and user-defined
 * pieces, which stay as they are. It is "normalizer" of type "SentencePiece" in what
 * engine/text/sources/sentence_piece_source.h makes. Immutable once read. */
#pragma once

#include <stdbool.h>

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/containers/text_buffer.h"
#include "engine/text/containers/trie.h"
#include "engine/text/normalize/character_map.h"

struct sentence_piece_form {
    struct character_map map;
    bool has_map;
    bool dummy_prefix; /* a blank is put before a text (or behind it, by is_suffix) */
    bool trims;        /* blanks at the ends go, and of several stays one */
    bool escapes;      /* a blank becomes U+2581 */
    bool is_suffix;
    bool legacy; /* each text between added tokens is a text of its own; else only the first of them */
    struct trie symbols; /* user-defined */
};

/* deinit also after an error. */
enum status sentence_piece_form_init(struct sentence_piece_form *f, const struct json_path *path,
                                     struct error *e);
void sentence_piece_form_deinit(struct sentence_piece_form *f);

/* How many bytes of a text become one of its form, at most; 0: there is no bound. */
size_t sentence_piece_form_shrink_max(const struct sentence_piece_form *f);

/* Appends the form of a text, which is not empty. first: the whole text begins here. */
void sentence_piece_form_append(const struct sentence_piece_form *f, const char *text, size_t length,
                                bool first, struct text_buffer *out);
