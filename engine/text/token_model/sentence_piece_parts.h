/* Between the files of the SentencePiece model: what is common to both algorithms, and each of them. */
#pragma once

#include "engine/text/token_model/sentence_piece.h"

struct sentence_piece_symbol {
    int32_t previous, next; /* by index; -1: none */
    uint32_t start;
    uint32_t length : 31; /* 0: joined into the one before */
    uint32_t fixed : 1;   /* never joined */
};

struct sentence_piece_end {
    float score;
    uint32_t start; /* of the last token */
    int32_t id;     /* -1: no way leads here yet */
};

struct sentence_piece_span {
    uint32_t start, length;
};

/* Collects what the text is cut into. */
struct sentence_piece_output {
    const struct sentence_piece *model;
    struct token_list *ids;
    bool after_unknown;
};

/* A part of the text with its id, which may be the unknown one. */
enum status sentence_piece_add(struct sentence_piece_output *out, const char *text, size_t length, int32_t id,
                               struct error *e);

/* Whether an id is a piece that the models look for in a text. */
static inline bool sentence_piece_is_searched(const struct sentence_piece *m, int32_t id) {
    return m->types[id] == SENTENCE_PIECE_NORMAL || m->types[id] == SENTENCE_PIECE_USER_DEFINED ||
           m->types[id] == SENTENCE_PIECE_UNUSED;
}

enum status sentence_piece_encode_bpe(struct sentence_piece_output *out, struct sentence_piece_scratch *s,
                                      const char *text, size_t length, struct error *e);
enum status sentence_piece_encode_unigram(struct sentence_piece_output *out, struct sentence_piece_scratch *s,
                                          const char *text, size_t length, struct error *e);
