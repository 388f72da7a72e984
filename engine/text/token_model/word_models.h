/* The two models that look words up. WordLevel: the word is a token or unknown. WordPiece (Wu et al.,
 * 2016): a word is cut from its start into the longest tokens; those that go on within a word have a prefix
 * ("##"). */
#pragma once

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/containers/token_list.h"
#include "engine/text/containers/trie.h"
#include "engine/text/token_model/unknown.h"
#include "engine/text/token_model/vocabulary.h"

struct word_level {
    const struct vocabulary *vocabulary;
    struct unknown unknown;
};

/* The vocabulary is borrowed; deinit also after an error, here and below. */
enum status word_level_init(struct word_level *w, const struct vocabulary *v, const struct json_path *path,
                            struct error *e);
void word_level_deinit(struct word_level *w);
enum status word_level_encode(const struct word_level *w, const char *word, size_t length,
                              struct token_list *out, struct error *e);

struct word_piece {
    struct trie tokens;
    uint32_t inner; /* the trie's node behind the prefix, */
    bool has_inner; /* if any token begins with it */
    struct unknown unknown;
    int64_t characters_max; /* longer words are unknown */
};

enum status word_piece_init(struct word_piece *w, const struct vocabulary *v, const struct json_path *path,
                            struct error *e);
void word_piece_deinit(struct word_piece *w);
enum status word_piece_encode(const struct word_piece *w, const char *word, size_t length,
                              struct token_list *out, struct error *e);
