/* A choice of strings. */
#pragma once

#include "engine/grammar/rules/rules.h"
#include "engine/types/grammar.h"

/* A JSON list of strings, of which the text is one. INVALID_ARGUMENT: another JSON, none, no string. */
enum status choice_write(struct rules *r, struct engine_string source, const struct grammar_options *o,
                         rules_expression *out, struct error *e);
