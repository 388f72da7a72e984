/* What the files of filters share. */
#pragma once

#include "engine/text/template/eval.h"
#include "engine/text/template/filters.h"

/* p: arguments by name, PARAMETERS_MAX of them. */
typedef bool filter_function(struct render *r, const struct value *v, const struct value *p,
                             struct value *out);
/* For those that hand on their arguments. */
typedef bool filter_raw_function(struct render *r, const struct value *v, const struct arguments *a,
                                 struct value *out);

struct filter_row {
    const char *name;
    filter_function *run;
    filter_raw_function *raw; /* instead; both NULL: Jinja has it, we do not */
    const char *parameters;
    size_t required;
};

/* Tables, which end with a row without a name. */
extern const struct filter_row text_filters[], number_filters[], list_filters[], select_filters[];

/* Parts of an attribute's name between dots, each for a getitem. */
struct getter {
    struct value *parts;
    size_t count;
    struct value absent; /* in place of undefined; VALUE_MISSING: nothing is */
    bool lower;          /* strings are given in lower case */
};
/* v: a name, a number, or absent (VALUE_MISSING, VALUE_NONE): the element itself. */
bool getter_init(struct render *r, struct getter *g, const struct value *v);
bool getter_get(struct render *r, const struct getter *g, const struct value *element, struct value *out);

/* str() where it is no string. */
bool filter_text(struct render *r, const struct value *v, const struct string **out);
bool filter_integer(struct render *r, const struct value *v, int64_t absent, int64_t *out);

/* A generator of what was found before something failed (done false): that happens to who walks through it. false: it is
 * no failure of the template's, but of a limit. */
bool filter_generator(struct render *r, struct list *found, bool done, struct value *out);

/* tojson.c */
bool filter_tojson(struct render *r, const struct value *v, const struct value *p, struct value *out);
