/* Which tokens may come in a configuration. */
#pragma once

#include "engine/grammar/match/loop.h"
#include "engine/grammar/match/matcher.h"
#include "engine/grammar/match/slices.h"
#include "engine/grammar/match/subtrees.h"
#include "engine/grammar/match/token_set.h"
#include "engine/grammar/match/vocabulary.h"

/* Nodes of the trie, from first to before end, at each of which a leaf may end. */
struct exit_range {
    uint32_t first, end;
};

/* How often the part of a loop is begun in a token. */
struct counted_token {
    uint32_t token, count;
};

/* What a state of a leaf decides by itself: tokens that stay within the leaf, and nodes of the trie where the leaf may
 * end, below which what comes behind it decides. */
struct leaf_mask {
    struct token_set set;
    struct exit_range *exits;
    size_t exit_count;
    /* Of a loop without a limit, where one of the same loop with a limit has been made (counts.h): */
    bool has_counts;
    /* The fewest times first; without short plain ones, and those in which it is not begun. */
    struct counted_token *counted;
    size_t counted_count, counted_capacity;
    uint32_t *exit_counts; /* by nodes of the exits */
    size_t exit_counts_count, exit_counts_capacity;
};

/* What a configuration decides. */
struct kept_mask {
    struct token_set set;
    bool is_leafs; /* borrowed of the mask of its only leaf, behind which nothing comes in a token */
};

/* A node of the trie that a walk is below, in a state of a leaf, or a configuration. */
struct mask_level {
    uint32_t node, end, state;
    uint32_t loop;  /* of the leaf's state */
    dfa_state like; /* that of the leaf whose mask is gone by; or of the part that is counted */
    /* Of characters to the node, all of s->slice_groups, UINT32_MAX: not all are; or of parts. */
    uint32_t count;
    /* Bytes of the set `counted` that the state still takes; RULES_UNLIMITED: as many as it says. */
    uint32_t left, counted;
    bool exits; /* the leaf may end here, which is not noted yet */
};

struct masks {
    struct matcher *matcher; /* borrowed, as is */
    const struct grammar_vocabulary *vocabulary;
    uint32_t *leaf_mask_of; /* by leaf, without exits and with them; UINT32_MAX: none yet */
    size_t leaf_mask_of_count, leaf_mask_of_capacity;
    struct leaf_mask *leaf_masks;
    size_t leaf_mask_count, leaf_mask_capacity;
    struct kept_mask *kept;
    size_t kept_count, kept_capacity;
    struct leaf_mask passing; /* one that is not kept, of what lies in bits and exits, or aside */
    uint32_t *loop_of;        /* by leaf; UINT32_MAX: none yet */
    size_t loop_of_count, loop_of_capacity;
    struct leaf_loop *loops;
    size_t loop_count, loop_capacity;
    struct class_groups_table classes;
    struct slices_table slices;
    struct subtrees_table subtrees;
    /* The mask in the making. */
    uint32_t *bits; /* [words] */
    bool wants_exits;
    uint32_t plain_length; /* nodes whose plain tokens are so long at most are done with; 0: none */
    /* So are nodes whose tokens have these groups alone and are so long at most; 0: none. */
    uint64_t slice_groups;
    uint32_t slice_length;
    uint64_t slice_dead; /* groups whose characters may not come behind any of these texts */
    struct exit_range *exits;
    size_t exit_count, exit_capacity;
    uint32_t *aside_bits; /* [words]: of the mask out of which it is made, where that is not kept */
    struct exit_range *aside_exits;
    size_t aside_capacity;
    struct mask_level *levels; /* [depth + 2]: of the walk */
    uint32_t *missing;         /* bits: tokens in the order of the trie that are not allowed yet, */
    size_t missing_capacity;
    bool knows_missing;  /* where it pays */
    size_t nodes_behind; /* that were passed below exits */
};

/* A node that a walk passes costs about a tenth of what a step of the matcher does. */
enum { MASK_NODES_A_STEP = 10 };
/* Counts one; false: there were too many steps. */
static inline bool mask_pass_node(struct masks *s, size_t *nodes) {
    return ++*nodes % MASK_NODES_A_STEP != 0 || rules_spend(s->matcher->rules, 1);
}

/* A leaf's place among the loops; MASKS_NO_LOOP: failed. */
#define MASKS_NO_LOOP UINT32_MAX
uint32_t masks_find_loop(struct masks *s, dfa_state leaf);
/* Nodes whose plain tokens are so long at most need no walk, where there is a slice for those of `length`. Where a loop
 * takes as many and no more longer ones are not allowed, unless they go on behind the leaf. */
uint32_t masks_plain_length(const struct masks *s, const struct leaf_loop *loop, uint32_t length);
/* Puts the plain tokens of at most so many characters, 1 to PLAIN_LENGTH_MAX, into the mask in the making, in place of all plain
 * ones that it has. */
void masks_cut_plain(struct masks *s, uint32_t length);
/* Nodes at which the leaf whose mask is in the making may end. False: failed. */
bool masks_add_exits(struct masks *s, uint32_t first, uint32_t end);
/* Whether so many bytes may be kept. */
bool masks_have_room(const struct masks *s, size_t bytes);

bool masks_init(struct masks *s, struct matcher *m, const struct grammar_vocabulary *v);
void masks_deinit(struct masks *s);
/* All that are kept, and what is known of leaves. */
void masks_forget(struct masks *s);
/* bits[words]. False: failed, as the rules say. */
bool masks_find(struct masks *s, configuration c, uint32_t *bits);
