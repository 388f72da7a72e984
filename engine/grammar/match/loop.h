/* What the states of a leaf take, in characters: a subtree of the vocabulary's trie that has only such characters is
 * allowed as a whole, without a walk. */
#pragma once

#include "engine/grammar/match/runs.h"

/* Texts of a state; and where it is a loop, one that stays as it is over most characters, as strings do: texts of the
 * characters of `groups` (byte_groups.h), at most length_max of them, stay in it, and none that is longer. */
struct leaf_loop {
    uint64_t groups;
    uint64_t run_groups[RUNS_MAX]; /* texts of these keep it alive, so many characters at most; 0: of none */
    uint32_t run_lengths[RUNS_MAX];
    /* Any text of these leaves the state as it is; of intersections and differences, for which there are few runs. */
    uint64_t stay_groups;
    uint32_t length_max;
    /* Does the same with texts of at most like_length characters (of a loop length_max), and has no such limit; else the leaf. */
    dfa_state unlimited;
    uint32_t like_length;
    /* Of a loop with a limit: what is repeated, where each text is divided into it, and what comes behind, in one way; else
     * RULES_NONE. */
    rules_expression part;
    bool is_loop, may_end; /* may_end: nothing need come behind the loop */
};

/* False: failed. */
bool loop_find(struct rules *r, dfa_state leaf, struct class_groups_table *t, struct leaf_loop *out);

/* Whether plain characters (byte_groups.h), and what is longer than it takes of them, do nothing but stay in it and leave it dead. */
bool loop_is_plain(const struct leaf_loop *loop);

/* Whether each time of a loop with a limit is one byte, which is ASCII: so what is left of it can be counted along a walk. */
bool loop_counts_bytes(const struct rules *r, const struct leaf_loop *loop);
