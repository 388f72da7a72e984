/* Which characters make up a whole text of an expression, in groups (byte_groups.h). */
#pragma once

#include "engine/grammar/rules/dfa.h"

/* Groups each character of which matches by itself, and of these those that leave nothing else to come: no longer text
 * of the expression begins with one. */
struct class_groups {
    rules_expression expression; /* RULES_NONE: nothing is kept here */
    uint64_t matching, exact;
};

/* How texts of an expression, one behind the other, are divided. */
struct class_code {
    rules_expression expression; /* RULES_NONE: nothing is kept here */
    uint64_t first;              /* groups that a text may begin with; those beyond ASCII are all or none */
    /* In one way: no text begins another one, and none is empty; false also where that is not known. */
    bool is_code;
};

/* The expressions of characters that a grammar repeats are few; those that were looked at last, by their numbers. */
enum { CLASS_GROUPS_KEPT = 64, CLASS_CODES_KEPT = 16 };
struct class_groups_table {
    struct class_groups kept[CLASS_GROUPS_KEPT];
    struct class_code codes[CLASS_CODES_KEPT];
};

void class_groups_clear(struct class_groups_table *t);
/* Groups that a text of a state may begin with. False: failed. */
bool class_groups_first(struct rules *r, dfa_state state, uint64_t *groups);
/* Groups each character of which leaves a state as it is. False: failed. */
bool class_groups_staying(struct rules *r, dfa_state state, uint64_t *groups);
/* False: failed. Expressions without a text that matches have no groups. */
bool class_groups_find(struct rules *r, struct class_groups_table *t, rules_expression x,
                       struct class_groups *out);
/* False: failed. */
bool class_code_find(struct rules *r, struct class_groups_table *t, rules_expression x,
                     struct class_code *out);
