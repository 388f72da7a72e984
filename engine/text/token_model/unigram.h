/* The unigram language model (Kudo, 2018): of all ways to cut a word into tokens, the one whose scores add up
 * to the most; found by dynamic programming from the left. */
#pragma once

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/containers/token_list.h"
#include "engine/text/containers/trie.h"
#include "engine/text/token_model/unknown.h"
#include "engine/text/token_model/vocabulary.h"

struct unigram {
    const struct vocabulary *vocabulary;
    struct trie tokens;
    double *scores; /* [id] */
    double unknown_score;
    int32_t unknown_id; /* -1: none */
    bool byte_fallback;
    int32_t byte_ids[256];
};

struct unigram_end;

/* Working memory of one encoding; start from {0}. */
struct unigram_scratch {
    struct unigram_end *ends;
    size_t end_capacity;
    struct unigram_end *path;
    size_t path_capacity;
};

/* "vocab" of this model is a list of [content, score]; unigram_read_vocabulary fills v with it, before
 * unigram_init, which borrows v. deinit also after an error. */
enum status unigram_read_vocabulary(struct vocabulary *v, const struct json_path *path, struct error *e);
enum status unigram_init(struct unigram *u, const struct vocabulary *v, const struct json_path *path,
                         struct error *e);
void unigram_deinit(struct unigram *u);
void unigram_scratch_deinit(struct unigram_scratch *s);

/* Appends the ids of one word; length > 0. */
enum status unigram_encode(const struct unigram *u, struct unigram_scratch *s, const char *word,
                           size_t length, struct token_list *out, struct error *e);
