/* The two models of the sentencepiece library, exactly as it encodes with them. Unigram: the way to cut the text
 * whose scores, in single precision, add up to the most, and of equal ones the one that is found first. BPE: the two
 * neighbours whose joined text is the piece with the highest score are joined, the leftmost first, until none is a
 * piece. A text that is not a piece becomes the unknown one, a run of them one, or with byte_fallback the pieces of its
 * bytes.
 *
 * It is "model" of type "SentencePiece" in what engine/text/sources/sentence_piece_source.h makes:
 * {"algorithm": "Unigram" or "BPE", "byte_fallback", "vocab": [text], "scores": [number], "types": a letter a piece}. */
#pragma once

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/containers/merge_queue.h"
#include "engine/text/containers/text_buffer.h"
#include "engine/text/containers/token_list.h"
#include "engine/text/containers/trie.h"
#include "engine/text/token_model/vocabulary.h"

/* Values are those of sentencepiece_model.proto. */
enum sentence_piece_type {
    SENTENCE_PIECE_NORMAL = 1,
    SENTENCE_PIECE_UNKNOWN = 2,
    SENTENCE_PIECE_CONTROL = 3,      /* never found in a text */
    SENTENCE_PIECE_USER_DEFINED = 4, /* found in a text before anything else */
    SENTENCE_PIECE_UNUSED = 5,       /* may be joined, but is taken apart again at the end */
    SENTENCE_PIECE_BYTE = 6,
};

/* How "types" writes it. */
char sentence_piece_type_letter(enum sentence_piece_type type);

struct sentence_piece {
    const struct vocabulary *vocabulary;
    bool is_bpe, byte_fallback, has_unused;
    float *scores;        /* [id] */
    unsigned char *types; /* [id] */
    float unknown_score;  /* Unigram: of a character that is not a piece */
    int32_t unknown_id;
    int32_t byte_ids[256];
    struct trie pieces;       /* Unigram: what is found in a text */
    struct trie user_defined; /* BPE */
    size_t longest;           /* bytes of a piece */
};

struct sentence_piece_symbol;
struct sentence_piece_end;
struct sentence_piece_span;

/* Working memory of one encoding; start from {0}. */
struct sentence_piece_scratch {
    struct sentence_piece_symbol *symbols;
    size_t symbol_count, symbol_capacity;
    struct merge_queue queue;
    uint32_t *splits; /* [id]: bytes of the left part that an unused piece was joined from */
    size_t split_capacity;
    struct sentence_piece_span *stack;
    size_t stack_capacity;
    struct sentence_piece_end *ends; /* [length + 1] */
    size_t end_capacity;
    struct token_list lengths; /* Unigram: bytes of the tokens of the best way, backwards */
};

/* Fills v with "vocab", before sentence_piece_init, which borrows v. deinit also after an error. */
enum status sentence_piece_read_vocabulary(struct vocabulary *v, const struct json_path *path,
                                           struct error *e);
enum status sentence_piece_init(struct sentence_piece *m, const struct vocabulary *v,
                                const struct json_path *path, struct error *e);
void sentence_piece_deinit(struct sentence_piece *m);
void sentence_piece_scratch_deinit(struct sentence_piece_scratch *s);

/* Appends the ids of a text, which is normalized already; length > 0. */
enum status sentence_piece_encode(const struct sentence_piece *m, struct sentence_piece_scratch *s,
                                  const char *text, size_t length, struct token_list *out, struct error *e);
