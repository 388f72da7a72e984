/* The automaton that decides which byte may come next. A configuration is what may come from here on, as a set of items:
 * a state of a leaf's automaton, and what must come behind that leaf, as a stack whose cells exist once each. Each
 * configuration exists once and has a number; where it leads is worked out when it is asked for and kept.
 *
 * An item takes at least one byte: where its leaf, or what is on its stack, may be empty, what comes behind is among
 * the items too. */
#pragma once

#include "engine/grammar/rules/dfa.h"

/* Limits. */
enum {
    MATCHER_ITEMS_MAX = 2000,        /* of a configuration */
    MATCHER_STACK_MAX = 20000,       /* cells within each other */
    MATCHER_EXPANSIONS_MAX = 100000, /* that are looked at to find the items of one configuration */
};

typedef uint32_t configuration; /* a number; 0 is the start */
enum {
    CONFIGURATION_DEAD = UINT32_MAX,
    CONFIGURATION_UNKNOWN = UINT32_MAX - 1,
    CONFIGURATION_FAILED = UINT32_MAX - 2
};

/* A stack: what comes next, and what comes behind that. 0: nothing, the end. Or one of several stacks: where the same
 * leaf may stand before different ones, it stands before their union, so that the ways to read nested parentheses do
 * not double with each. */
struct cell {
    rules_expression rest; /* RULES_NONE: one of `count` others, from m->others[next] on */
    uint32_t next, count, depth, hash;
    configuration entry; /* that begins with this cell; CONFIGURATION_UNKNOWN at first */
};

struct item {
    dfa_state leaf;
    uint32_t cell;
};

struct configuration_data {
    size_t first; /* in items */
    uint32_t count, hash;
    uint32_t row;  /* in rows; UINT32_MAX: none yet */
    uint32_t mask; /* in the masks' list; UINT32_MAX: none yet */
    bool may_end;
};

struct matcher {
    struct rules *rules; /* owned */
    struct cell *cells;
    size_t cell_count, cell_capacity;
    struct intern_table cell_table;
    uint32_t *others;
    size_t other_count, other_capacity;
    struct item *items;
    size_t item_count, item_capacity;
    struct configuration_data *configurations;
    size_t configuration_count, configuration_capacity;
    struct intern_table configuration_table;
    configuration *rows; /* [row][class] */
    size_t row_count, row_capacity;

    /* A configuration in the making. */
    struct item *found;
    size_t found_count, found_capacity;
    bool found_end;
    /* Pairs of an expression and the cell behind it: those to look at, and a set of those that were. */
    struct item *open;
    size_t open_count, open_capacity;
    uint32_t *popping; /* cells to pop */
    size_t popping_count, popping_capacity;
    struct item *seen;
    uint32_t *seen_in; /* which making it belongs to */
    size_t seen_capacity, seen_count;
    uint32_t making;
};

/* The matcher of finished rules, which it takes over, also when it fails. */
enum status matcher_create(struct rules *r, struct matcher **out, struct error *e);
void matcher_destroy(struct matcher *m);

/* Where a byte leads: CONFIGURATION_DEAD where it may not come, CONFIGURATION_FAILED where that is not known for want of
 * memory (the rules hold the failure). */
configuration matcher_find_step(struct matcher *m, configuration from, uint32_t class);
static inline configuration matcher_step(struct matcher *m, configuration from, uint32_t class) {
    uint32_t row = m->configurations[from].row;
    if (row != UINT32_MAX) {
        configuration to = m->rows[(size_t)row * m->rules->class_count + class];
        if (to != CONFIGURATION_UNKNOWN) return to;
    }
    return matcher_find_step(m, from, class);
}
/* The configuration that begins with a cell; one without items where it is the end. */
configuration matcher_enter(struct matcher *m, uint32_t cell);
