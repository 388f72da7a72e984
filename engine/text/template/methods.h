/* Methods of Python's strings, lists, tuples and dicts that change nothing, and the attributes of what Jinja gives to
 * templates. */
#pragma once

#include "engine/text/template/render.h"

struct method {
    const char *name;
    method_function *run; /* NULL: Python has it, we do not */
    const char *parameters;
    size_t required;
    bool keywords; /* parameters may be named */
};

/* The method of that name, bound to v; an undefined value for one that the sandbox forbids; *out stays where the type
 * has none such. */
bool methods_get(struct render *r, const struct value *v, const struct string *name, struct value *out);
/* Of a cycler or a macro. */
bool methods_of_callable(struct render *r, struct callable *c, const struct string *name, struct value *out);

/* Tables, which end with a row without a name. */
extern const struct method string_methods[], string_case_methods[], container_dict_methods[],
    container_list_methods[];

/* ---- text_functions.c: what methods and filters share -------------------------------------------------- */

enum text_case { CASE_LOWER, CASE_UPPER, CASE_TITLE, CASE_CAPITALIZE, CASE_SWAP };
const struct string *text_case(struct render *r, const struct string *s, enum text_case kind);
/* side: -1 left, 1 right, 0 both; characters NULL: blanks. */
const struct string *text_strip(struct render *r, const struct string *s, const struct string *characters,
                                int side);
/* most: replacements; negative: all. */
const struct string *text_replace(struct render *r, const struct string *s, const struct string *old,
                                  const struct string *new, int64_t most);
struct list *text_lines(struct render *r, const struct string *s, bool keep_ends);
/* In the middle of so many characters (side 0), or at one side of them. */
const struct string *text_pad(struct render *r, const struct string *s, int64_t width,
                              const struct string *fill, int side);
/* The parts between blanks (separator NULL) or separators; most: cuts, negative: all. */
struct list *text_split(struct render *r, const struct string *s, const struct string *separator,
                        int64_t most, bool from_right);
bool text_parse_integer(struct render *r, const struct string *s, int64_t base, bool *valid, int64_t *out);
bool text_parse_real(struct render *r, const struct string *s, bool *valid, double *out);
