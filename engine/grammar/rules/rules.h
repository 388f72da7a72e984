/* What a text must look like, as rules: a context-free grammar whose leaves are extended regular expressions over bytes.
 * JSON schemas, regular expressions, GBNF and lists of choices are written into it (engine/grammar/sources), and
 * engine/grammar/match decides by it which token may come next.
 *
 * An expression is a number that belongs to its struct rules. The first failure is kept: after it every function
 * returns RULES_NONE, takes RULES_NONE, and rules_finish says what was wrong; so a writer looks once, at the end. One
 * thread at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/types/grammar.h"

struct rules;

typedef uint32_t rules_expression;
typedef uint32_t rules_name; /* of a rule, which may be called before it is defined */

enum { RULES_NONE = UINT32_MAX, RULES_UNLIMITED = UINT32_MAX };

/* The last code point. */
enum { RULES_POINT_MAX = 0x10FFFF };

/* A range of code points, both inclusive. Surrogates are left out by themselves. */
struct rules_range {
    uint32_t first, last;
};

/* bytes_max: memory of everything that is written, which is taken from the budget too where there is one. NO_MEMORY,
 * LIMIT, BUSY. */
enum status rules_create(size_t bytes_max, struct grammar_budget *budget, struct rules **out,
                         struct error *e);
void rules_destroy(struct rules *r);

/* ---- bytes and characters ------------------------------------------------------------------------------ */

/* These bytes; none: the empty text. */
rules_expression rules_text(struct rules *r, const char *bytes, size_t length);
/* One character of these, in UTF-8; ranges in any order. None: nothing matches. */
rules_expression rules_points(struct rules *r, const struct rules_range *ranges, size_t count);
/* One character that is none of these. */
rules_expression rules_other_points(struct rules *r, const struct rules_range *ranges, size_t count);

/* ---- what is made of others ---------------------------------------------------------------------------- */

rules_expression rules_sequence(struct rules *r, const rules_expression *parts, size_t count);
rules_expression rules_choice(struct rules *r, const rules_expression *parts, size_t count);
/* part{least,most}; most may be RULES_UNLIMITED. Not unrolled: a count of a million costs what 2 does. */
rules_expression rules_repeat(struct rules *r, rules_expression part, uint32_t least, uint32_t most);
/* Some of the texts of x, so many that each one begins (ends) with one of them: enough of x where any text may stand behind
 * (in front of) it. */
rules_expression rules_trim_end(struct rules *r, rules_expression x);
rules_expression rules_trim_begin(struct rules *r, rules_expression x);
/* Texts that both match, and texts of `a` that `b` does not match. Both must be regular: without calls (those of rules
 * that lead to no call of themselves are put in their place). */
rules_expression rules_intersection(struct rules *r, rules_expression a, rules_expression b);
rules_expression rules_difference(struct rules *r, rules_expression a, rules_expression b);

/* ---- rules --------------------------------------------------------------------------------------------- */

/* A new rule; `name` is copied, for error messages. */
rules_name rules_declare(struct rules *r, const char *name);
/* Once for each rule. */
void rules_define(struct rules *r, rules_name rule, rules_expression meaning);
rules_expression rules_call(struct rules *r, rules_name rule);

/* ---- the end ------------------------------------------------------------------------------------------- */

/* A writer's own failure: kept where it is the first. Returns RULES_NONE. */
rules_expression rules_fail(struct rules *r, enum status status, const char *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool rules_failed(const struct rules *r);
/* Work of a writer's own, of some 0.1 µs a step, which counts like the rest: false when the time is over or something has
 * failed. */
bool rules_spend(struct rules *r, size_t steps);
/* So much less of the time is left, of the calling thread's processor time: a writer needs it behind the end. */
void rules_reserve_time(struct rules *r, uint64_t ns);
/* The whole text matches `start`. INVALID_ARGUMENT: a rule without a meaning, one that calls itself before it takes a
 * byte (left recursion, by its name), a start that matches no text; LIMIT: bytes_max; or what rules_fail was told. */
enum status rules_finish(struct rules *r, rules_expression start, struct error *e);
