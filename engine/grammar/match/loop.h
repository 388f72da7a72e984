/* Leaves that stay as they are over most characters, as strings do: a subtree of the vocabulary's trie that has only
 * such characters is allowed as a whole, without a walk. */
#pragma once

#include "engine/grammar/rules/leaf.h"

/* Of one state: texts of the characters of `groups` (byte_groups.h), at most length_max of them, keep it alive. */
struct leaf_loop {
    uint64_t groups;
    uint32_t length_max;
    leaf_state unlimited;         /* does the same with texts that are no longer, and has no such limit */
    bool known, is_loop, may_end; /* may_end: nothing need come behind the loop */
};

/* The last part of a repeat that was looked at, and its characters. */
struct loop_part {
    rules_expression part;
    uint64_t groups;
};

/* False: failed. */
bool loop_find(struct rules *r, leaf_state leaf, struct loop_part *last, struct leaf_loop *out);
