/* The tokens of a model as a trie, laid out in the order of a walk: a node's first child stands behind it, its next
 * sibling behind the last of its descendants. Tokens stand in the order of their bytes, so that those of a subtree are
 * a range. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/types/request.h" /* struct engine_string */

/* A walk looks at most of it together: so it is one entry. */
struct trie_node {
    /* The bytes of the node and below it, in groups (byte_groups.h), which begin a character. */
    uint64_t groups;
    uint32_t end;   /* behind the last node of the subtree */
    uint32_t first; /* token of the subtree; the node's own end where the next node's begin */
    uint8_t byte;   /* that leads to the node */
    uint8_t height; /* characters that begin below it, on the way that has most; 255: or more */
    uint8_t plain;  /* characters of the longest token below, where all are plain; else 0 */
};

struct token_trie {
    struct trie_node *nodes; /* [count + 1]; 0 is the root; the last has but the end of the tokens */
    size_t count;
    uint32_t tops[257]; /* by byte: the node below the root; where there is none, that of the next byte */
    uint32_t *tokens;   /* ids, by bytes */
    size_t token_count; /* with a text */
    size_t depth;       /* bytes of the longest token */
};

/* Tokens of plain characters alone (byte_groups.h), by their length in characters: what a string takes that may be so
 * long. */
enum { PLAIN_LENGTH_MAX = 32, PLAIN_SLICES = PLAIN_LENGTH_MAX + 1 };

struct grammar_vocabulary {
    size_t count; /* ids */
    char *bytes;
    size_t *offsets; /* [count + 1] into bytes */
    struct token_trie trie;
    uint32_t
        *plain[PLAIN_SLICES]; /* [words]: tokens of at most slice + 1 characters; the last: of any length */
    size_t memory;            /* bytes of all of it */
};

/* As grammar_vocabulary_create has it. */
enum status vocabulary_create(const struct engine_string *texts, size_t count,
                              struct grammar_vocabulary **out, struct error *e);
void vocabulary_destroy(struct grammar_vocabulary *v);

static inline struct engine_string vocabulary_text(const struct grammar_vocabulary *v, size_t token) {
    return (struct engine_string){v->bytes + v->offsets[token], v->offsets[token + 1] - v->offsets[token]};
}
/* 32-bit words of a mask. */
static inline size_t vocabulary_words(const struct grammar_vocabulary *v) {
    return (v->count + 31) / 32;
}
/* Whether nothing in so many characters, and those that begin below the node, is longer. */
static inline bool node_has_length(const struct trie_node *at, unsigned more, uint32_t length) {
    return length == UINT32_MAX || (at->height < UINT8_MAX && at->height + more <= length);
}
