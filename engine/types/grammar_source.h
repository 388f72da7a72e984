/* What a text can be told to match. */
#pragma once

#include "engine/types/request.h" /* struct engine_string */

enum grammar_kind {
    GRAMMAR_JSON_OBJECT, /* any JSON object; the source is empty */
    GRAMMAR_JSON_SCHEMA, /* a JSON Schema, in JSON */
    GRAMMAR_REGEX,       /* a regular expression, which the whole text matches */
    GRAMMAR_CHOICE,      /* one of the strings of a JSON array */
    GRAMMAR_GBNF,        /* a grammar as llama.cpp has it */
};

struct grammar_source {
    enum grammar_kind kind;
    struct engine_string text;
    struct engine_string whitespace; /* between JSON's elements, a regular expression; of length 0: the default */
};
