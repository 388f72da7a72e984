/* Byte-pair encoding (Sennrich et al., 2016), as the BPE model of tokenizer.json: characters of a word become
 * symbols, and the pair of neighbours whose merge comes first in the list is joined, until no pair is in the
 * list. */
#pragma once

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/containers/merge_queue.h"
#include "engine/text/containers/text_buffer.h"
#include "engine/text/containers/token_list.h"
#include "engine/text/token_model/unknown.h"
#include "engine/text/token_model/vocabulary.h"

struct bpe_merge;

struct bpe {
    const struct vocabulary *vocabulary;
    struct bpe_merge *merges; /* open addressing by the pair of ids */
    size_t merge_capacity;
    struct unknown unknown;
    struct text_buffer prefix, suffix; /* continuing_subword_prefix, end_of_word_suffix */
    bool fuse_unknown, byte_fallback, ignore_merges;
    int32_t byte_ids[256];
};

struct bpe_symbol;

/* Working memory of one encoding; start from {0}. */
struct bpe_scratch {
    struct token_list letters; /* ids of the characters */
    struct bpe_symbol *symbols;
    size_t symbol_capacity;
    struct merge_queue queue;
    struct text_buffer letter;
};

/* place: "model". The vocabulary is borrowed for b's life. deinit also after an error. Dropout is training's:
 * with it the same text would give other ids each time, so it is not done. */
enum status bpe_init(struct bpe *b, const struct vocabulary *v, const struct json_path *path,
                     struct error *e);
void bpe_deinit(struct bpe *b);
void bpe_scratch_deinit(struct bpe_scratch *s);

/* Appends the ids of one word; length > 0. */
enum status bpe_encode(const struct bpe *b, struct bpe_scratch *s, const char *word, size_t length,
                       struct token_list *out, struct error *e);
