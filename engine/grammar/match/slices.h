/* Tokens of some groups of ASCII characters alone, by their length: where a leaf takes so many of these, whatever they are,
 * its mask begins with such a slice, and what is below nodes that have nothing else needs no walk. As the slices of plain
 * characters, which all grammars have from the vocabulary. */
#pragma once

#include "engine/grammar/match/loop.h"
#include "engine/grammar/match/vocabulary.h"

struct token_slices {
    uint64_t groups;  /* byte_groups.h */
    uint32_t *bits;   /* [words]: all of these tokens, */
    uint32_t *tokens; /* and their ids, the shortest first */
    /* Behind those of at most so many characters; the last: of any length. */
    uint32_t ends[PLAIN_LENGTH_MAX + 2];
};

enum { SLICES_KEPT = 8 };
struct slices_table {
    struct token_slices kept[SLICES_KEPT];
    size_t count;
};

/* The run with whose slice a mask begins: the longest one of many groups, without what is not ASCII. False: there is none. */
bool slices_run(const struct leaf_loop *loop, uint64_t *groups, uint32_t *length);
/* What keeping one more takes at most. */
size_t slices_bytes(const struct grammar_vocabulary *v);
/* bits: the tokens of these groups that have at most `length` characters, and no others. has_room: their slices may be kept.
 * False: failed. */
bool slices_begin(struct rules *r, struct slices_table *t, const struct grammar_vocabulary *v,
                  uint64_t groups, uint32_t length, bool has_room, uint32_t *bits);
void slices_free(struct slices_table *t);

/* What comes of a leaf behind texts of some groups alone. */
struct slice_end {
    /* No text of these of more than `length` characters is let through. False also where that is not known. */
    bool is_all;
    uint64_t dead; /* groups that are sure not to come behind any of these, nor at first */
};
/* may_end: nothing comes behind the leaf in a token; else both say nothing where one of these texts may be all that it takes.
 * length: as the slice has it, or more than there are slices for. False: failed. */
bool slices_find_end(struct rules *r, dfa_state leaf, uint64_t groups, uint32_t length, bool may_end,
                     struct slice_end *out);
