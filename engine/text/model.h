/* "model" of tokenizer.json: the vocabulary, and how a word becomes ids. Immutable once read. */
#pragma once

#include "engine/base/error.h"
#include "engine/text/bpe.h"
#include "engine/text/json_place.h"
#include "engine/text/token_list.h"
#include "engine/text/unigram.h"
#include "engine/text/vocabulary.h"
#include "engine/text/word_models.h"

struct model {
    struct vocabulary vocabulary;
    enum { MODEL_NONE, MODEL_BPE, MODEL_UNIGRAM, MODEL_WORD_LEVEL, MODEL_WORD_PIECE } kind;
    union {
        struct bpe bpe;
        struct unigram unigram;
        struct word_level word_level;
        struct word_piece word_piece;
    };
};

/* Working memory of one encoding; start from {0}. */
struct model_scratch {
    struct bpe_scratch bpe;
    struct unigram_scratch unigram;
};

/* m must not move afterwards. deinit also after an error. */
enum status model_init(struct model *m, const struct json_place *place, struct error *e);
void model_deinit(struct model *m);
void model_scratch_deinit(struct model_scratch *s);

/* Bytes of words that one id stands for, at most: words of n bytes have n / that ids or more. 0: there is no
 * bound, since what the vocabulary lacks is left out, or becomes one id however long it is. is_byte_level:
 * the words are written in the alphabet of byte_level.h. */
size_t model_bytes_per_token_max(const struct model *m, bool is_byte_level);

/* Appends the ids of one word. */
enum status model_encode(const struct model *m, struct model_scratch *s, const char *word, size_t length,
                         struct token_list *out, struct error *e);
