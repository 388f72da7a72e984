#include "engine/grammar/sources/sources.h"

#include "engine/grammar/sources/choice.h"
#include "engine/grammar/sources/gbnf.h"

const struct grammar_reader grammar_readers[] = {
    {GRAMMAR_CHOICE, choice_write},
    {GRAMMAR_GBNF, gbnf_write},
};
const size_t grammar_reader_count = sizeof grammar_readers / sizeof *grammar_readers;
