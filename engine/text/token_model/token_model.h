/* "model" of tokenizer.json: the vocabulary, and how a word becomes ids. Immutable once read. */
#pragma once

#include "engine/base/error.h"
#include "engine/text/token_model/bpe.h"
#include "engine/text/token_model/ctrl.h"
#include "engine/files/json_path.h"
#include "engine/text/containers/token_list.h"
#include "engine/text/token_model/sentence_piece.h"
#include "engine/text/token_model/unigram.h"
#include "engine/text/token_model/vocabulary.h"
#include "engine/text/token_model/word_models.h"

struct token_model {
    struct vocabulary vocabulary;
    enum {
        TOKEN_MODEL_NONE,
        TOKEN_MODEL_BPE,
        TOKEN_MODEL_UNIGRAM,
        TOKEN_MODEL_WORD_LEVEL,
        TOKEN_MODEL_WORD_PIECE,
        TOKEN_MODEL_SENTENCE_PIECE,
        TOKEN_MODEL_CTRL
    } kind;
    union {
        struct bpe bpe;
        struct unigram unigram;
        struct word_level word_level;
        struct word_piece word_piece;
        struct sentence_piece sentence_piece;
        struct ctrl ctrl;
    };
};

/* Working memory of one encoding; start from {0}. */
struct token_model_scratch {
    struct bpe_scratch bpe;
    struct unigram_scratch unigram;
    struct sentence_piece_scratch sentence_piece;
    struct ctrl_scratch ctrl;
};

/* m must not move afterwards. deinit also after an error. */
enum status token_model_init(struct token_model *m, const struct json_path *path, struct error *e);
void token_model_deinit(struct token_model *m);
void token_model_scratch_deinit(struct token_model_scratch *s);

/* Bytes of words that one id stands for, at most: words of n bytes have n / that ids or more. 0: there is no
 * bound, since what the vocabulary lacks is left out, or becomes one id however long it is. is_byte_level:
 * the words are written in the alphabet of byte_level.h. */
size_t model_bytes_per_token_max(const struct token_model *m, bool is_byte_level);

/* Appends the ids of one word. */
enum status token_model_encode(const struct token_model *m, struct token_model_scratch *s, const char *word,
                               size_t length, struct token_list *out, struct error *e);
