#include "engine/grammar/sources/sources.h"

#include "engine/grammar/sources/choice.h"
#include "engine/grammar/sources/gbnf.h"
#include "engine/grammar/sources/json_schema.h"
#include "engine/grammar/sources/regex_source.h"

static enum status write_regex(struct rules *r, struct engine_string source, const struct grammar_options *o,
                               rules_expression *out, struct error *e) {
    (void)o;
    return regex_write(r, source, "regex", out, e);
}

const struct grammar_source grammar_sources[] = {
    {GRAMMAR_JSON_OBJECT, json_object_write},
    {GRAMMAR_JSON_SCHEMA, json_schema_write},
    {GRAMMAR_REGEX, write_regex},
    {GRAMMAR_CHOICE, choice_write},
    {GRAMMAR_GBNF, gbnf_write},
};
const size_t grammar_source_count = sizeof grammar_sources / sizeof *grammar_sources;
