/* GBNF, the grammars of llama.cpp: docs/structured-output.md says what is understood. */
#pragma once

#include "engine/grammar/rules/rules.h"
#include "engine/types/grammar.h"

/* The text matches the rule "root". INVALID_ARGUMENT with line and column. */
enum status gbnf_write(struct rules *r, struct engine_string source, const struct grammar_options *o,
                       rules_expression *out, struct error *e);
