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

/* Appends the ids of one word. */
enum status model_encode(const struct model *m, struct model_scratch *s, const char *word, size_t length,
                         struct token_list *out, struct error *e);
