/* Values of a template, as Python has them: sixteen bytes, with what they point at in the arena of the rendering (or,
 * for constants, of the compiled template). Nothing is freed before the end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/text/template/string_value.h"

struct node;
struct scope;
struct for_loop;

enum value_kind {
    VALUE_MISSING, /* none at all: an argument that was not given */
    VALUE_UNDEFINED,
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_LIST, /* and what else has its elements in a row: enum list_kind */
    VALUE_DICT,
    VALUE_NAMESPACE,
    VALUE_CALLABLE,
    VALUE_LOOP,
};

struct value {
    enum value_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double real;
        const struct string *string;
        const char *undefined; /* the message of the error that it causes */
        struct list *list;
        struct dict *dict;
        struct callable *callable;
        struct for_loop *loop;
    };
};

enum list_kind {
    LIST_LIST,
    LIST_TUPLE,
    LIST_RANGE,
    LIST_KEYS, /* views of a dict */
    LIST_VALUES,
    LIST_ITEMS,
    LIST_ITERATOR, /* can be walked through once */
};

struct list {
    enum list_kind kind;
    struct value *items;
    size_t count, capacity;
    size_t position;           /* of an iterator: what was walked through */
    const char *failure;       /* of an iterator: what happens when it is walked through */
    int64_t start, stop, step; /* of a range */
    bool group;                /* a tuple of groupby: has the names "grouper" and "list" */
};

struct entry {
    struct value key, value;
};

/* In the order of insertion. They are small, and walked through. */
struct dict {
    struct entry *entries;
    size_t count, capacity;
};

enum callable_kind {
    CALLABLE_MACRO,
    CALLABLE_METHOD,
    CALLABLE_GLOBAL,
    CALLABLE_LOOP_METHOD,
    CALLABLE_JOINER,
    CALLABLE_CYCLER,
};

struct arguments;
struct render;

typedef bool method_function(struct render *r, const struct value *self, const struct value *p,
                             struct value *out);
typedef bool call_function(struct render *r, struct callable *self, const struct arguments *a,
                           struct value *out);

struct callable {
    enum callable_kind kind;
    const char *name;
    call_function *call;
    struct value self; /* of a method; the separator of a joiner */
    const struct method *method;
    const struct node *node; /* of a macro: its definition, */
    struct scope *scope;     /* and where that stands */
    struct list *items;      /* of a cycler */
    size_t position;         /* of a cycler, and whether a joiner was used */
};

/* ---- making -------------------------------------------------------------------------------------------- */

#define UNDEFINED(message) ((struct value){.kind = VALUE_UNDEFINED, .undefined = (message)})
#define NONE               ((struct value){.kind = VALUE_NONE})
#define BOOLEAN(b)         ((struct value){.kind = VALUE_BOOL, .boolean = (b)})
#define INTEGER(i)         ((struct value){.kind = VALUE_INT, .integer = (i)})
#define REAL(d)            ((struct value){.kind = VALUE_FLOAT, .real = (d)})
#define STRING(s)          ((struct value){.kind = VALUE_STRING, .string = (s)})

/* Those that can fail have said so in r when they return false or NULL. */
struct list *list_create(struct render *r, enum list_kind kind, size_t capacity);
bool list_add(struct render *r, struct list *list, struct value v);
struct dict *dict_create(struct render *r, size_t capacity);
/* false also where the key is of a kind that cannot be one (a list). */
bool dict_set(struct render *r, struct dict *d, struct value key, struct value v);
/* Without looking for the key, which is not there yet. */
bool dict_add(struct render *r, struct dict *d, struct value key, struct value v);
/* *out is of VALUE_MISSING where there is none. */
bool dict_get(struct render *r, const struct dict *d, struct value key, struct value *out);
struct value list_value(struct list *list);
struct value dict_value(struct dict *d);

/* ---- asking -------------------------------------------------------------------------------------------- */

bool value_truth(const struct value *v);
bool value_is_number(const struct value *v); /* a bool is one */
/* Of a bool or an int. */
int64_t value_integer(const struct value *v);
/* Of any number. */
double value_real(const struct value *v);
/* "str", "int", ...: as Python names the type. */
const char *value_type(const struct value *v);
bool value_is_list(const struct value *v, enum list_kind kind);

/* ==, of any two values; <, which fails for what has no order. `is`. */
bool value_equal(struct render *r, const struct value *a, const struct value *b, bool *equal);
bool value_less(struct render *r, const struct value *a, const struct value *b, bool *less);
bool value_same(const struct value *a, const struct value *b);
/* `a in b` */
bool value_in(struct render *r, const struct value *a, const struct value *b, bool *found);
/* len(); fails for what has none. */
bool value_length(struct render *r, const struct value *v, size_t *length);

/* The elements as a list that is there to be read: the value's own where it has them, else a new one. An iterator is
 * at its end then. Fails for what cannot be iterated. */
bool value_elements(struct render *r, const struct value *v, struct list **out);
bool value_is_iterable(const struct value *v);
/* The same for a filter whose result is a generator: where v cannot be iterated, *out is NULL and *lazy fails once
 * somebody walks through it. */
bool value_elements_lazily(struct render *r, const struct value *v, struct list **out, struct value *lazy);
