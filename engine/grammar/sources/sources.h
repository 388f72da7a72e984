/* What can say what a text must look like, each with what writes it as rules. */
#pragma once

#include "engine/grammar/rules/rules.h"
#include "engine/types/grammar.h"

struct grammar_source {
    enum grammar_kind kind;
    /* *out: what the whole text matches. What r was told of (rules_fail) needs no status of its own. */
    enum status (*write)(struct rules *r, struct engine_string source, const struct grammar_options *o,
                         rules_expression *out, struct error *e);
};

extern const struct grammar_source grammar_sources[];
extern const size_t grammar_source_count;
