/* Evaluation of a syntax tree, for the files of this folder. What returns bool returns false after a failure that r
 * knows. */
#pragma once

#include "engine/text/template/node.h"
#include "engine/text/template/render.h"

struct binding {
    unsigned symbol;
    struct value value;
};

/* Names that a body has set; those around it are in the parents. */
struct scope {
    struct scope *parent;
    struct binding *items;
    size_t count, capacity;
};

struct scope *scope_create(struct render *r, struct scope *parent);
bool scope_set(struct render *r, struct scope *s, unsigned symbol, struct value v);
/* A name of the template, wherever it comes from; undefined where from nowhere. */
bool scope_get(struct render *r, const struct scope *s, const struct node *name, struct value *out);

bool eval(struct render *r, struct scope *s, const struct node *node, struct value *out);

/* How a body has ended. */
enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAILED };
enum flow exec(struct render *r, struct scope *s, const struct node *node);

/* What a body writes, as a string instead. */
bool exec_captured(struct render *r, struct scope *s, const struct node *body, enum flow *flow,
                   struct value *out);
bool exec_assign(struct render *r, struct scope *s, const struct node *target, const struct value *v);

/* Filters of a block, the innermost of which has no value: that is v. */
bool eval_block_filters(struct render *r, struct scope *s, const struct node *node, const struct value *v,
                        struct value *out);

/* ---- operators.c --------------------------------------------------------------------------------------- */

bool operator_binary(struct render *r, enum node_kind kind, const struct value *a, const struct value *b,
                     struct value *out);
bool operator_unary(struct render *r, enum node_kind kind, const struct value *a, struct value *out);
bool operator_compare(struct render *r, enum compare_operator kind, const struct value *a,
                      const struct value *b, bool *out);
bool operator_repeat(struct render *r, const struct value *v, int64_t times, struct value *out);

/* ---- access.c ------------------------------------------------------------------------------------------ */

/* a.name and a[key], with the message for where there is none. */
bool access_attribute(struct render *r, const struct value *v, const struct string *name, const char *message,
                      struct value *out);
bool access_item(struct render *r, const struct value *v, const struct value *key, const char *message,
                 struct value *out);
/* A part of v; bounds of VALUE_NONE are left out. */
bool access_slice(struct render *r, const struct value *v, const struct value bounds[3], struct value *out);

/* ---- call.c -------------------------------------------------------------------------------------------- */

bool call_arguments(struct render *r, struct scope *s, const struct call *call, struct arguments *out);
bool call_value(struct render *r, const struct value *callee, const struct arguments *a, struct value *out);
/* The macro that a statement defines. */
bool call_define(struct render *r, struct scope *s, const struct node *node, const char *name,
                 struct value *out);

/* Arguments by the names of the parameters, which stand in one text with blanks between them; those that are not given
 * are VALUE_MISSING. */
enum { PARAMETERS_MAX = 6 };
bool call_bind(struct render *r, const char *what, const char *parameters, size_t required, bool keywords,
               const struct arguments *a, struct value p[PARAMETERS_MAX]);

/* ---- globals.c ----------------------------------------------------------------------------------------- */

/* range, namespace, ...; *out stays where there is none of that name. */
bool globals_get(struct render *r, const struct string *name, struct value *out);

/* ---- from_json.c --------------------------------------------------------------------------------------- */

/* A variable of the input; VALUE_MISSING: none. */
bool input_get(struct render *r, const struct string *name, struct value *out);
