/* Tokens of some groups of ASCII characters alone, by their length: where a leaf takes so many of these, whatever they are,
 * its mask begins with such a slice, and what is below nodes that have nothing else needs no walk. As the slices of plain
 * characters, which all grammars have from the vocabulary. */
#pragma once

#include "engine/grammar/match/loop.h"
#include "engine/grammar/match/vocabulary.h"

struct token_slices {
    uint64_t groups;                     /* byte_groups.h */
    uint32_t *bits;                      /* [words]: all of these tokens, */
    uint32_t *tokens;                    /* and their ids, the shortest first */
    uint32_t ends[PLAIN_LENGTH_MAX + 2]; /* behind those of at most so many characters; the last: of any length */
};

enum { SLICES_KEPT = 8 };
struct slices_table {
    struct token_slices kept[SLICES_KEPT];
    size_t count;
};

/* The run with whose slice a mask begins: the longest one of many groups, without what is not ASCII. False: there is none. */
bool slices_run(const struct leaf_loop *loop, uint64_t *groups, uint32_t *length);
/* NULL: they have not been made. Good until others are. */
const struct token_slices *slices_find(const struct slices_table *t, uint64_t groups);
/* Where fewer than SLICES_KEPT are kept. False: failed. */
bool slices_make(struct rules *r, struct slices_table *t, const struct grammar_vocabulary *v,
                 uint64_t groups);
/* What making them takes at most. */
size_t slices_bytes(const struct grammar_vocabulary *v);
/* bits: the tokens of at most `length` characters, and no others. */
void slices_copy(const struct token_slices *slices, uint32_t length, uint32_t *bits, size_t words);
void slices_free(struct slices_table *t);

/* *out: no text of more than `length` characters of these groups is let through by a leaf, nor (unless may_end) is one all that it
 * takes; false also where that is not known. False: failed. */
bool slices_are_all(struct rules *r, dfa_state leaf, uint64_t groups, uint32_t length, bool may_end, bool *out);
