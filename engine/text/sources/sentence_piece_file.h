/* A model of SentencePiece (sentencepiece_model.proto), read and checked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/text/token_model/sentence_piece.h"

/* Bytes of one piece, less than so many: SentencePiece's own limit. */
enum { SENTENCE_PIECE_BYTES_END = 8000 };

/* Values of model_type that are supported. */
enum { SENTENCE_PIECE_UNIGRAM = 1, SENTENCE_PIECE_BPE = 2 };

struct sentence_piece_entry {
    const char *text; /* within the file; UTF-8 without NUL */
    size_t length;
    float score; /* finite */
    enum sentence_piece_type type;
};

/* NormalizerSpec, also that of the denormalizer. */
struct sentence_piece_rules {
    const char *map; /* precompiled_charsmap, within the file; map_length 0: none */
    size_t map_length;
    bool add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces;
};

struct sentence_piece_file {
    const char *name;
    struct sentence_piece_entry *pieces; /* [count] */
    size_t count, capacity;
    uint64_t algorithm; /* SENTENCE_PIECE_UNIGRAM or _BPE */
    bool byte_fallback, whitespace_as_suffix;
    int64_t bos_id, eos_id, pad_id; /* -1: none */
    size_t unknown_id;
    struct sentence_piece_rules normalizer, denormalizer;
};

/* name (of the file, for messages) and bytes are borrowed as long as the file is used. Refused: what the library
 * refuses to load (no unknown piece, an incomplete set of bytes, two pieces of one text, ...), models of words or
 * characters, and what is no such file. deinit also after an error. */
enum status sentence_piece_file_read(const char *name, const char *bytes, size_t length,
                                     struct sentence_piece_file *out, struct error *e);
void sentence_piece_file_deinit(struct sentence_piece_file *f);
