#include "engine/grammar/sources/sources.h"

#include "engine/grammar/sources/choice.h"
#include "engine/grammar/sources/gbnf.h"

const struct grammar_source grammar_sources[] = {
    {GRAMMAR_CHOICE, choice_write},
    {GRAMMAR_GBNF, gbnf_write},
};
const size_t grammar_source_count = sizeof grammar_sources / sizeof *grammar_sources;
