/* Which tokens may come in a configuration. */
#pragma once

#include "engine/grammar/match/matcher.h"
#include "engine/grammar/match/vocabulary.h"

/* What a state of a leaf decides by itself: tokens that stay within the leaf, and nodes of the trie where the leaf may
 * end, below which what comes behind it decides. */
struct leaf_mask {
    uint32_t *bits; /* [words]; NULL: `tokens` has them */
    uint32_t *tokens;
    uint32_t *exits;
    size_t token_count, exit_count;
};

/* A configuration's tokens, worked out. */
struct kept_mask {
    uint32_t *bits; /* or */
    uint32_t *tokens;
    size_t token_count;
};

struct masks {
    struct matcher *matcher; /* borrowed, as is */
    const struct grammar_vocabulary *vocabulary;
    uint32_t *leaf_mask_of; /* by leaf; UINT32_MAX: none yet */
    size_t leaf_mask_of_count, leaf_mask_of_capacity;
    struct leaf_mask *leaf_masks;
    size_t leaf_mask_count, leaf_mask_capacity;
    struct kept_mask *kept;
    size_t kept_count, kept_capacity;
    size_t kept_bytes; /* of masks; they stop at half of what the grammar may have */
    struct number_list {
        uint32_t *numbers;
        size_t count, capacity;
    } tokens, exits;         /* of the leaf mask in the making */
    uint32_t *states, *ends; /* [depth + 1]: of the walk */
};

bool masks_init(struct masks *s, struct matcher *m, const struct grammar_vocabulary *v);
void masks_deinit(struct masks *s);
/* bits[words]. False: failed, as the rules say. */
bool masks_find(struct masks *s, configuration c, uint32_t *bits);
