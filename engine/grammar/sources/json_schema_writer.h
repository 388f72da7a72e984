/* What the parts of the writer of JSON schemas share.
 *
 * A *goal* is a list of schemas that all hold for one value, as the list of "properties/a" of each of an object's schemas.
 * A goal becomes an expression once; what may hold an object or a list becomes a rule, which is defined later, from a
 * queue: so recursion in a schema is recursion of rules, and none of C.
 *
 * To *spread* a goal is to follow $ref, allOf and anyOf: it gives, for each combination of alternatives, the *branches*:
 * schema objects of which all hold. The rest is said by each branch's own keywords. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/grammar/rules/rules.h"
#include "engine/grammar/sources/json_schema.h"
#include "engine/grammar/sources/json_schema_index.h"

enum json_schema_type {
    JSON_SCHEMA_NULL = 1,
    JSON_SCHEMA_BOOLEAN = 2,
    JSON_SCHEMA_INTEGER = 4,  /* numbers without a fraction */
    JSON_SCHEMA_FRACTION = 8, /* the others */
    JSON_SCHEMA_STRING = 16,
    JSON_SCHEMA_ARRAY = 32,
    JSON_SCHEMA_OBJECT = 64,
    JSON_SCHEMA_ALL_TYPES = 127,
};

enum json_schema_kind {
    JSON_SCHEMA_UNKNOWN,
    JSON_SCHEMA_OF_ANY,
    JSON_SCHEMA_OF_STRING,
    JSON_SCHEMA_OF_NUMBER,
    JSON_SCHEMA_OF_ARRAY,
    JSON_SCHEMA_OF_OBJECT,
    JSON_SCHEMA_OF_LOCATION,
    JSON_SCHEMA_OF_ANNOTATION,
    JSON_SCHEMA_OF_REFUSED,
};

/* Schemas that hold together; borrowed from the document. */
struct json_schema_list {
    const json_t *items[JSON_SCHEMA_BRANCHES_MAX];
    size_t count;
};

struct json_schema_goal;
struct json_schema_place;

/* Expressions that many places use; made at the first use, 0 until then. */
struct json_schema_shared {
    rules_expression space, comma, colon; /* white space; ',' and ':' with white space around */
    rules_expression nothing, text, key;  /* no text; any string; any string in the canonical spelling */
    rules_expression number, integer, digit;
    rules_expression value, object, array; /* any */
};

struct json_schema_writer {
    struct rules *rules;
    const json_t *root;
    json_t *any_string; /* {"type": "string"}; NULL: no memory */
    struct json_schema_shared shared;
    struct json_schema_goal *goals;
    size_t goal_count, goal_capacity, defined; /* goals before `defined` need nothing more */
    struct json_schema_index goal_index;
    struct json_schema_place *places; /* of $id and $anchor, and of what is below an $id */
    size_t place_count, place_capacity;
    struct json_schema_index places_by_schema, places_by_name;
    bool closes_objects; /* struct grammar_options */
    size_t spread_count; /* alternatives of the goal at hand */
};

/* ---- json_schema_error.c ------------------------------------------------------------------------------------------- */

/* "#/properties/a: ..." of a schema (or any other value) of the document. Returns RULES_NONE. */
rules_expression json_schema_refuse(struct json_schema_writer *w, enum status status, const json_t *at,
                                    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* "schema#/properties/a" for the place of an error below. Returns the steps that it took, for who asks often. */
size_t json_schema_place_of(const struct json_schema_writer *w, const json_t *at, char *out, size_t size);

/* ---- json_schema_refs.c -------------------------------------------------------------------------------------------- */

/* Finds all $id and $anchor. */
void json_schema_refs_find(struct json_schema_writer *w);
void json_schema_refs_deinit(struct json_schema_writer *w);
/* What the $ref of `schema` leads to; NULL: refused. */
const json_t *json_schema_refs_target(struct json_schema_writer *w, const json_t *schema);

/* ---- json_schema_keywords.c ------------------------------------------------------------------------------------------ */

enum json_schema_kind json_schema_keyword_kind(const char *name);
/* Where the schemas are that a keyword has in it. */
enum json_schema_holder { JSON_SCHEMA_HOLDS_NONE, JSON_SCHEMA_HOLDS_SCHEMAS, JSON_SCHEMA_HOLDS_MAP };
enum json_schema_holder json_schema_keyword_holder(const char *name);
/* Refuses a schema with a keyword that is not understood, or with a value of the wrong kind. */
void json_schema_keywords_check(struct json_schema_writer *w, const json_t *schema);
/* Whether a schema of the list has a keyword of this kind. */
bool json_schema_has_kind(const struct json_schema_list *branches, enum json_schema_kind kind);
/* The largest (or smallest) of a keyword's counts; `fallback` where no branch has it. */
size_t json_schema_count(const struct json_schema_list *branches, const char *keyword, bool largest,
                         size_t fallback);
/* Types that all branches allow. */
unsigned json_schema_types(const struct json_schema_list *branches);

/* ---- json_schema_spread.c -------------------------------------------------------------------------------------------- */

/* Called with the branches of each combination; context is the caller's. */
typedef void json_schema_each(struct json_schema_writer *w, const struct json_schema_list *branches,
                              void *context);
void json_schema_spread(struct json_schema_writer *w, const json_t *const *schemas, size_t count,
                        json_schema_each *each, void *context);

/* ---- json_schema_goal.c ---------------------------------------------------------------------------------------------- */

/* A value that all the schemas hold for. */
rules_expression json_schema_goal(struct json_schema_writer *w, const struct json_schema_list *schemas);
/* Defines what is still in the queue. */
void json_schema_goals_define(struct json_schema_writer *w);
void json_schema_goals_deinit(struct json_schema_writer *w);

/* ---- values of one type, of which all branches hold ------------------------------------------------------------------ */

rules_expression json_schema_string(struct json_schema_writer *w, const struct json_schema_list *branches);
/* Whether a format of this name says something of strings; of numbers. */
bool json_schema_string_has_format(const char *name);
bool json_schema_number_has_format(const char *name);
/* types: JSON_SCHEMA_INTEGER, JSON_SCHEMA_FRACTION or both. */
rules_expression json_schema_number(struct json_schema_writer *w, const struct json_schema_list *branches,
                                    unsigned types);
rules_expression json_schema_array(struct json_schema_writer *w, const struct json_schema_list *branches);
rules_expression json_schema_object(struct json_schema_writer *w, const struct json_schema_list *branches);
/* enum and const; *found: there is one. */
rules_expression json_schema_fixed(struct json_schema_writer *w, const struct json_schema_list *branches,
                                   unsigned types, bool *found);
/* Whether a number of the document is within the bounds of all branches. */
bool json_schema_number_allows(struct json_schema_writer *w, const struct json_schema_list *branches,
                               const json_t *value);

/* ---- json_schema_shared.c -------------------------------------------------------------------------------------------- */

/* Makes white space; pattern NULL: the default. */
void json_schema_shared_init(struct json_schema_writer *w, const char *whitespace_pattern);
rules_expression json_schema_digit(struct json_schema_writer *w);
rules_expression json_schema_any_string(struct json_schema_writer *w);
/* In the canonical spelling, with its quotes. */
rules_expression json_schema_any_key(struct json_schema_writer *w);
rules_expression json_schema_any_integer(struct json_schema_writer *w);
rules_expression json_schema_any_number(struct json_schema_writer *w);
rules_expression json_schema_any_value(struct json_schema_writer *w);
rules_expression json_schema_any_array(struct json_schema_writer *w);
rules_expression json_schema_any_object(struct json_schema_writer *w);
/* A text as a JSON string in the canonical spelling, with its quotes. */
rules_expression json_schema_quoted(struct json_schema_writer *w, const char *text, size_t length);
/* What lies between the quotes. */
rules_expression json_schema_unquoted(struct json_schema_writer *w, const char *text, size_t length);
/* Short forms of what rules.h has. */
rules_expression json_schema_word(struct json_schema_writer *w, const char *text);
rules_expression json_schema_optional(struct json_schema_writer *w, rules_expression x);
#define json_schema_seq(w, ...)                                                                              \
    rules_sequence((w)->rules, (const rules_expression[]){__VA_ARGS__},                                      \
                   sizeof((const rules_expression[]){__VA_ARGS__}) / sizeof(rules_expression))
#define json_schema_or(w, ...)                                                                               \
    rules_choice((w)->rules, (const rules_expression[]){__VA_ARGS__},                                        \
                 sizeof((const rules_expression[]){__VA_ARGS__}) / sizeof(rules_expression))
