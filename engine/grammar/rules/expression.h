/* What rules.h's numbers stand for. Every expression exists once (it is found by what it is made of), so that equal
 * ones have equal numbers; children are made before their parents and have smaller numbers, except that a call's rule
 * may be anywhere. Behind rules_finish the matcher goes on making expressions: what is left of a leaf behind a byte. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/grammar/rules/rules.h"

enum expression_kind {
    EXPRESSION_NOTHING, /* matches no text */
    EXPRESSION_EMPTY,   /* matches the empty text */
    EXPRESSION_BYTES,   /* a: which set */
    EXPRESSION_TEXT, /* b bytes from r->texts[a], two or more: so that a list of texts takes little beside them */
    EXPRESSION_SEQUENCE,     /* a, then b; a is no sequence, so that it is a list */
    EXPRESSION_CHOICE,       /* b members from r->members[a], ascending, none of them a choice */
    EXPRESSION_REPEAT,       /* a, from b to c times */
    EXPRESSION_INTERSECTION, /* a and b */
    EXPRESSION_DIFFERENCE,   /* a and not b */
    EXPRESSION_CALL,         /* a: which rule */
};

enum {
    EXPRESSION_NULLABLE = 1, /* it matches the empty text */
    EXPRESSION_REGULAR = 2,  /* there is no call in it */
    EXPRESSION_BOOLEAN = 4,  /* there is a both or a without in it: it may match nothing and not show it */
    EXPRESSION_BROAD = 8,    /* a set of many bytes is in it */
    EXPRESSION_WIDE = 16,    /* a repeat of something broad is in it: most tokens may come within it */
};

enum { RULES_NOTHING = 0, RULES_EMPTY = 1 };

/* Limits. */
enum {
    RULES_DEPTH_MAX = 400,            /* of expressions within each other; a sequence is one level, */
    RULES_BOOLEAN_LEVELS = 8,         /* and a both or a without this many */
    RULES_BROAD_FROM = 65,            /* bytes in a set that is broad */
    RULES_SEARCH_MAX = 1000000,       /* steps to find whether something matches any text */
    RULES_NAME_BYTES_MAX = 100,       /* of a rule's name that is kept */
    RULES_EXPRESSIONS_MAX = 1u << 30, /* numbers */
};

struct expression {
    uint8_t kind, flags;
    uint16_t depth;
    uint32_t a, b, c;
    uint32_t hash;
};

struct byte_set {
    uint64_t bits[4];
    uint32_t hash; /* of those that r->sets has */
};

struct rule {
    rules_expression meaning; /* RULES_NONE: not yet */
    uint32_t name;            /* place in r->names, ends with a zero byte */
    bool nullable;            /* behind rules_finish */
};

/* Open addressing over numbers; RULES_NONE is a free place. */
struct intern_table {
    uint32_t *slots;
    size_t capacity, count;
};

/* A state of a leaf's automaton: an expression, and where each class of bytes leads. */
struct dfa_state_data {
    rules_expression expression;
    uint32_t row; /* in rows; RULES_NONE: none yet */
    uint8_t pruned, alive;
};

struct linear_form;
struct completions;

/* What happens where steps have come to their end. It has set a new end when it returns true; false: what is at hand
 * fails with CANCELLED. */
typedef bool rules_pause(void *context);

struct rules {
    size_t bytes, bytes_max;
    size_t kept_bytes; /* of them what can be given back at any time: of bytes_max they take nothing */
    struct grammar_budget *budget; /* NULL: none */
    bool has_reserve;              /* the budget's */
    uint32_t
        hash_seed; /* unknown to those who write grammars: nobody can choose what stands in line in a table */
    uint64_t deadline;   /* by clock_thread_ns; 0: none */
    size_t steps_end;    /* 0: none */
    rules_pause *pause;  /* at its steps' end, NULL: it fails there; */
    void *pause_context; /* of the asker */
    size_t next_look;    /* at the clock: a number of steps */
    size_t steps;

    struct expression *expressions;
    size_t expression_count, expression_capacity;
    struct intern_table expression_table;
    uint32_t *members;
    size_t member_count, member_capacity;
    struct byte_set *sets;
    size_t set_count, set_capacity;
    struct intern_table set_table;
    char *texts;
    size_t text_count, text_capacity;
    struct rule *rules;
    size_t rule_count, rule_capacity;
    char *names;
    size_t name_count, name_capacity;
    uint32_t *scratch; /* a stack for lists that are being made */
    size_t scratch_count, scratch_capacity;

    /* From rules_finish on. */
    rules_expression start;
    uint32_t class_count; /* of bytes that no set tells apart */
    uint8_t class_of[256];
    uint8_t class_byte[256];           /* one of each class */
    struct dfa_state_data *dfa_states; /* 0 matches nothing */
    size_t dfa_state_count, dfa_state_capacity;
    uint32_t *dfa_state_of; /* of an expression; RULES_NONE: none yet */
    size_t dfa_state_of_count, dfa_state_of_capacity;
    uint32_t *rows; /* [row][class]: leaf */
    size_t row_count, row_capacity;
    struct linear_form *form;
    struct completions *completions;

    struct error error; /* code OK: nothing has failed */
};

/* ---- memory and failure ---------------------------------------------------------------------------------- */

/* Makes *block (of *capacity elements of `size` bytes) large enough for `count`; false: failed, said. */
bool rules_grow(struct rules *r, void *block, size_t *capacity, size_t count, size_t size);
/* Gives back what an array has beyond `count`. */
void rules_shrink(struct rules *r, void *block, size_t *capacity, size_t count, size_t size);
/* Of memory that r's owner holds beside it. */
bool rules_charge(struct rules *r, size_t bytes);
void rules_refund(struct rules *r, size_t bytes);
/* A block of what is kept as long as there is room. NULL: failed. */
void *rules_keep(struct rules *r, size_t bytes);
/* As rules_grow, of an array of such. False: failed. */
bool rules_keep_array(struct rules *r, void *block, size_t *capacity, size_t count, size_t size);
/* Of such blocks so many bytes, and all of them, are gone. */
void rules_give_back(struct rules *r, size_t bytes);
void rules_refund_kept(struct rules *r);
/* Compiling may take the calling thread so long from now on, of its processor's time, so that a busy machine refuses
 * nothing more; 0: as long as it takes. */
void rules_limit_time(struct rules *r, double seconds_max);
/* So many steps from now on, a bound that is the same on every machine; then every one fails with BUSY, or r->pause is
 * asked where there is one. */
void rules_limit_steps(struct rules *r, size_t steps_max);
void rules_unlimit_steps(struct rules *r);
/* For loops: false when the time is over or something has failed. */
bool rules_tick(struct rules *r);
/* The failure, which is forgotten: what there was before it is still good. */
enum status rules_take_failure(struct rules *r, struct error *e);

/* Makes room for one number more. The hash of number i stands i * stride behind `hashes`. */
bool table_grow(struct rules *r, struct intern_table *t, const void *hashes, size_t stride);
/* Makes it anew, for the numbers from `first` on to before `count`, as small as can be. */
void table_rebuild(struct rules *r, struct intern_table *t, const void *hashes, size_t stride, uint32_t first,
                   uint32_t count);
static inline uint32_t hash_mix(uint32_t hash, uint32_t value) {
    hash = (hash ^ value) * 0x9E3779B1u;
    return hash ^ (hash >> 15);
}

/* ---- making ---------------------------------------------------------------------------------------------- */

static inline const struct expression *expression_at(const struct rules *r, rules_expression x) {
    return &r->expressions[x];
}
static inline bool expression_is(const struct rules *r, rules_expression x, unsigned flag) {
    return (r->expressions[x].flags & flag) != 0;
}
static inline bool byte_set_has(const struct byte_set *s, unsigned byte) {
    return (s->bits[byte >> 6] >> (byte & 63)) & 1;
}

static inline int byte_set_size(const struct byte_set *s) {
    int size = 0;
    for (int i = 0; i < 4; i++) size += __builtin_popcountll(s->bits[i]);
    return size;
}

/* As it is, without simplification; flags and depth are worked out. */
rules_expression expression_intern(struct rules *r, enum expression_kind kind, uint32_t a, uint32_t b,
                                   uint32_t c);
/* The members are r->scratch from `from` on, which are taken off. */
rules_expression expression_choice(struct rules *r, size_t from);
rules_expression expression_sequence(struct rules *r, rules_expression a, rules_expression b);
/* Of texts that are not looked into for ends that are alike. */
rules_expression expression_intersection(struct rules *r, rules_expression a, rules_expression b);
rules_expression expression_difference(struct rules *r, rules_expression a, rules_expression b);
rules_expression expression_bytes(struct rules *r, const struct byte_set *set);
/* Of r->texts. */
rules_expression expression_text(struct rules *r, uint32_t first, uint32_t length);
bool scratch_push(struct rules *r, uint32_t value);
/* As qsort; what is compared takes steps, and there may be a pause in it. False: failed, and the order is anything. */
bool rules_sort(struct rules *r, void *items, size_t count, size_t size,
                int (*compare)(const void *a, const void *b));
/* Of what an expression is made of. */
uint32_t expression_hash(const struct rules *r, const struct expression *x);
/* The flags of an expression from what it is made of now. */
uint8_t expression_flags(const struct rules *r, const struct expression *x);
/* The name of a rule, for messages. */
const char *rule_name(const struct rules *r, rules_name rule);
