/* What is below a byte that a token may begin with, in the state of a leaf that it leads to: leaves that differ in how many
 * characters may still come often lead to the same state by what ends these, as a host name's labels do by the dot. The few
 * that were walked last are kept. */
#pragma once

#include "engine/grammar/match/token_set.h"
#include "engine/grammar/rules/dfa.h"

struct exit_range;

struct subtree_mask {
    dfa_state state; /* behind the byte; DFA_DEAD: nothing is kept here */
    uint8_t byte;
    bool has_exits; /* they were looked for */
    bool was_found; /* of late */
    struct token_set set;
    struct exit_range *exits;
    size_t exit_count, bytes;
};

enum { SUBTREES_KEPT = 16 };
struct subtrees_table {
    struct subtree_mask kept[SUBTREES_KEPT];
    size_t next; /* to make room for another */
};

struct masks;

/* Whether it is worth while to keep what is below a byte. */
bool subtrees_are_kept(const struct masks *s, unsigned byte);
/* Adds what is kept to the mask in the making. *found false: nothing is. False: failed. */
bool subtrees_take(struct masks *s, unsigned byte, dfa_state state, bool *found);
/* Keeps what the mask in the making has below the byte, if there is room; it had no tokens there before, and exits from
 * `first_exit` on. False: failed. */
bool subtrees_keep(struct masks *s, unsigned byte, dfa_state state, size_t first_exit);
void subtrees_free(struct subtrees_table *t);
