/* JSON Schema (draft 2020-12, and 7's spellings) and "any object" as rules. json_schema_keywords.def and
 * json_schema_formats.def have what is understood; docs/structured-output.md says which choices were made.
 *
 * A text that the rules let end is valid: what is not understood is refused, never passed over. The other way round not
 * every valid text is let through: members come in the order of the schema, numbers and strings have fewer spellings
 * than JSON allows. */
#pragma once

#include "engine/base/error.h"
#include "engine/grammar/rules/rules.h"
#include "engine/types/grammar.h"

/* Limits of one schema. */
enum {
    JSON_SCHEMA_BYTES_MAX = 1 << 20,
    JSON_SCHEMA_VALUES_MAX = 65536,
    JSON_SCHEMA_GOALS_MAX = 4096, /* different places of the text: sets of schemas that hold there together */
    JSON_SCHEMA_BRANCHES_MAX = 256,     /* schemas that hold together at one place */
    JSON_SCHEMA_CHAIN_MAX = 64,         /* $ref and allOf behind each other */
    JSON_SCHEMA_ALTERNATIVES_MAX = 512, /* combinations of anyOf at one place */
    JSON_SCHEMA_PATTERNS_MAX = 4,       /* patternProperties of one object */
    JSON_SCHEMA_COUNTED_MAX = 64,       /* properties of an object with minProperties or maxProperties */
    JSON_SCHEMA_MULTIPLES_MAX = 1000,   /* that multipleOf is written out as */
};

/* INVALID_ARGUMENT: no JSON, or no schema, or what is not understood, by name and with the JSON pointer of its place;
 * LIMIT, NO_MEMORY. options: whitespace_pattern and closes_objects alone are looked at. The source is read in full. */
enum status json_schema_write(struct rules *r, struct engine_string source,
                              const struct grammar_options *options, rules_expression *out, struct error *e);

/* Any JSON object; the source is not looked at. */
enum status json_object_write(struct rules *r, struct engine_string source,
                              const struct grammar_options *options, rules_expression *out, struct error *e);
