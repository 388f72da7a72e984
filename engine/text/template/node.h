/* The syntax tree of a template. Made by the parser, never changed afterwards. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/text/template/arena.h"
#include "engine/text/template/value.h"

enum node_kind {
    /* Expressions. */
    NODE_CONSTANT, /* constant */
    NODE_NAME,     /* symbol, name */
    NODE_LIST,     /* items */
    NODE_TUPLE,
    NODE_DICT,      /* items: key, value, key, value, ... */
    NODE_ATTRIBUTE, /* a.name */
    NODE_ITEM,      /* a[b] */
    NODE_SLICE,     /* a[items[0]:items[1]:items[2]], each may be NULL */
    NODE_CALL,      /* a(arguments) */
    NODE_FILTER,    /* a|row(arguments); a NULL: of a block */
    NODE_TEST,      /* a is row(arguments) */
    NODE_NOT,       /* a */
    NODE_NEGATE,
    NODE_PLUS,
    NODE_AND, /* a, b */
    NODE_OR,
    NODE_ADD,
    NODE_SUBTRACT,
    NODE_MULTIPLY,
    NODE_DIVIDE,
    NODE_FLOOR_DIVIDE,
    NODE_MODULO,
    NODE_POWER,
    NODE_CONCAT,           /* items */
    NODE_COMPARE,          /* a, then items with operators */
    NODE_CONDITIONAL,      /* a if b else c; c may be NULL */
    NODE_NAMESPACE_TARGET, /* symbol.name, as a target alone */
    /* Statements. */
    NODE_OUTPUT, /* a */
    NODE_DATA,   /* constant, a string */
    NODE_BODY,   /* items */
    NODE_IF,     /* a, b the body, c what else; c may be NULL */
    NODE_FOR,    /* a target, b elements, c body, items[0] what else, items[1] condition; each may be NULL */
    NODE_SET,    /* a target, b value */
    NODE_SET_BLOCK,    /* a target, b body, c filters (NULL: none) */
    NODE_MACRO,        /* symbol, name, b body, parameters in items and defaults */
    NODE_CALL_BLOCK,   /* a the call, b body, parameters */
    NODE_FILTER_BLOCK, /* a filters, b body */
    NODE_WITH,         /* items: target, value, ...; b body */
    NODE_SCOPE,        /* b: a "generation" block */
    NODE_BREAK,
    NODE_CONTINUE,
};

enum compare_operator {
    COMPARE_EQ,
    COMPARE_NE,
    COMPARE_LT,
    COMPARE_LE,
    COMPARE_GT,
    COMPARE_GE,
    COMPARE_IN,
    COMPARE_NOT_IN
};

/* Arguments of a call, filter or test as they are written. */
struct call {
    struct node **items; /* positional */
    size_t count;
    const struct string **names;
    struct node **values; /* keywords */
    size_t keyword_count;
    struct node *rest, *keyword_rest; /* *rest, **keyword_rest; NULL: none */
};

struct filter_row;
struct test_row;

struct node {
    enum node_kind kind;
    unsigned line;
    struct node *a, *b, *c;
    struct node **items;
    size_t count;
    union {
        struct value constant;
        struct call *call;
        unsigned char *operators; /* [count] of a comparison */
        size_t required; /* of a macro: its first parameters, without defaults, which are in defaults */
    };
    union {
        const struct filter_row *filter; /* NULL: Jinja has none such; an error once it is reached */
        const struct test_row *test;
        struct node **defaults; /* [count - required] */
    };
    const struct string *name;
    unsigned symbol;                                /* number of a name */
    const char *message;                            /* what an undefined name, attribute or item says */
    bool recursive;                                 /* a loop that calls itself */
    bool wants_caller, wants_kwargs, wants_varargs; /* a macro whose body names them */
};

/* Names of a template, numbered. */
struct symbols {
    const struct string **names;
    size_t count, capacity;
};

struct template {
    struct arena arena;
    struct node *body;
    struct symbols symbols;
    size_t node_count;
    unsigned caller, kwargs, varargs, loop; /* symbols of names with a meaning */
};
