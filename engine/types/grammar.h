/* In what languages a request may say what its answer must match, and within which bounds that is compiled. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/types/request.h" /* struct engine_string: what a source is given as */

enum grammar_kind {
    GRAMMAR_JSON_OBJECT, /* source is empty: any JSON object */
    GRAMMAR_JSON_SCHEMA, /* JSON */
    GRAMMAR_REGEX,       /* the whole text matches it */
    GRAMMAR_CHOICE,      /* a JSON list of strings */
    GRAMMAR_GBNF,
};

struct json_t; /* jansson's */

/* Of several grammars together. */
struct grammar_budget {
    atomic_size_t used;
    size_t bytes_max;
    size_t reserve;       /* of it, for the one that is let into it: where all are in need, one gets on */
    atomic_bool is_taken; /* the reserve */
};

struct grammar_options {
    const char *
        whitespace_pattern; /* regular expression between JSON's elements; NULL: the default; "": there is none */
    bool
        closes_objects; /* where patternProperties say which keys there are there are no others, if nothing is said of these */
    size_t
        bytes_max; /* of rules and states; of states there may be half of it in any case. Masks are kept beside them
                         while all takes less than three quarters of it */
    double seconds_max;            /* of compiling; LIMIT beyond it */
    const struct json_t *document; /* as in the source */
    struct grammar_budget
        *budget; /* that it takes its bytes from; borrowed until the last release. NULL: none */
};

/* What a request says. Borrowed. */
struct grammar_source {
    enum grammar_kind kind;
    struct engine_string text;
    const struct json_t *document; /* what a text of JSON says, where the asker has it; NULL: it is parsed */
    struct engine_string whitespace; /* regular expression between JSON's elements; empty: the default, */
    bool is_compact;                 /* or none */
    bool closes_objects;             /* as in the options */
    double seconds_spent; /* of the processor time that a grammar may take, on reading what it stands in */
};
