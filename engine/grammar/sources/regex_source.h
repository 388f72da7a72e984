/* Regular expressions: RE2's syntax over UTF-8, written as rules. The whole text matches, unless it is said that a
 * part of it is enough.
 *
 * Groups of all kinds (they capture nothing here), greedy and lazy repeats (the same texts), classes, \p{..} of general
 * categories, (?i) and (?s), ^ $ \A \z wherever they stand but within a repeat. INVALID_ARGUMENT with the offset in
 * the expression: what is no such expression, and by name what no automaton does or what is not done here: look-around,
 * back-references, \b, (?m), scripts. */
#pragma once

#include "engine/base/error.h"
#include "engine/grammar/rules/rules.h"
#include "engine/types/request.h" /* struct engine_string */

/* Of one expression; of groups within each other; the largest count of a repeat. */
enum { REGEX_SOURCE_BYTES_MAX = 64 << 10, REGEX_SOURCE_DEPTH_MAX = 64, REGEX_SOURCE_REPEAT_MAX = 100000 };

/* `where` names the field for messages. */
enum status regex_write(struct rules *r, struct engine_string source, const char *where,
                        rules_expression *out, struct error *e);

enum regex_spelling {
    REGEX_PLAIN,          /* characters are in the text as they are */
    REGEX_IN_JSON_STRING, /* as they are spelled between the quotes of a JSON string (json_spelling.h) */
    REGEX_JSON_WHITESPACE, /* only white space of JSON: other characters are no part of a class, and refused alone */
};

struct regex_style {
    const char *where;
    enum regex_spelling spelling;
    bool is_part; /* a part of the text has to match, as in JSON Schema */
    bool is_ecma; /* '.' matches no line end of ECMAScript, instead of no '\n' */
    bool is_wide; /* classes are what any dialect takes for them, instead of what all do (point_classes.h) */
};

/* The same in the style of rules.h: RULES_NONE where it failed. */
rules_expression regex_write_as(struct rules *r, struct engine_string source,
                                const struct regex_style *style);
