#include <string.h>

#include "engine/grammar/sources/json_schema_writer.h"
#include "engine/grammar/sources/json_spelling.h"
#include "engine/grammar/sources/regex_source.h"

static const struct {
    const char *name, *expression;
} formats[] = {
#define FORMAT(name, note, expression) {name, expression},
#define NUMBER_FORMAT(name, note, is_whole, is_signed, low, high)
#include "engine/grammar/sources/json_schema_formats.def"
#undef FORMAT
#undef NUMBER_FORMAT
};

static rules_expression both(struct json_schema_writer *w, rules_expression a, rules_expression b) {
    return a == RULES_NONE ? b : rules_intersection(w->rules, a, b);
}

static rules_expression write_regex(struct json_schema_writer *w, const char *regex, size_t length,
                                    const char *where, bool is_part) {
    const struct regex_style style = {
        .where = where, .spelling = REGEX_IN_JSON_STRING, .is_part = is_part, .is_ecma = true};
    return regex_write_as(w->rules, (struct engine_string){regex, length}, &style);
}

/* NULL: there is none of this name. */
static const char *format_expression(const char *name) {
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i].name, name) == 0) return formats[i].expression;
    return NULL;
}

bool json_schema_string_has_format(const char *name) {
    return format_expression(name) != NULL;
}

static rules_expression write_format(struct json_schema_writer *w, const json_t *schema, const char *name) {
    const char *expression = format_expression(name);
    if (expression) return write_regex(w, expression, strlen(expression), name, false);
    return json_schema_refuse(w, STATUS_INVALID_ARGUMENT, schema,
                              "'format': '%s' is not supported of strings", name);
}

/* "pattern" lies in the schema, and its errors have its own place. */
static rules_expression write_pattern(struct json_schema_writer *w, const json_t *pattern) {
    char where[ERROR_WHERE_BYTES];
    rules_spend(w->rules, json_schema_place_of(w, pattern, where, sizeof where));
    return write_regex(w, json_string_value(pattern), json_string_length(pattern), where, true);
}

/* What lies between the quotes; RULES_NONE where nothing is asked of it. */
static rules_expression write_content(struct json_schema_writer *w, const struct json_schema_list *branches) {
    size_t least = json_schema_count(branches, "minLength", true, 0);
    size_t most = json_schema_count(branches, "maxLength", false, RULES_UNLIMITED);
    rules_expression all = RULES_NONE;
    for (size_t i = 0; i < branches->count && !rules_failed(w->rules); i++) {
        const json_t *pattern = json_object_get(branches->items[i], "pattern"),
                     *format = json_object_get(branches->items[i], "format");
        if (pattern) all = both(w, all, write_pattern(w, pattern));
        if (format) all = both(w, all, write_format(w, branches->items[i], json_string_value(format)));
    }
    if (least > most) return w->shared.nothing;
    if (least == 0 && most == RULES_UNLIMITED) return all;
    return both(w, all, rules_repeat(w->rules, json_spelling_any(w->rules), (uint32_t)least, (uint32_t)most));
}

/* Of which nothing is asked: keys have one spelling, and goals of keys begin with any_string. */
static rules_expression any_string(struct json_schema_writer *w, const struct json_schema_list *branches) {
    bool is_key = branches->count > 0 && branches->items[0] == w->any_string;
    return is_key ? json_schema_any_key(w) : json_schema_any_string(w);
}

rules_expression json_schema_string(struct json_schema_writer *w, const struct json_schema_list *branches) {
    if (!json_schema_has_kind(branches, JSON_SCHEMA_OF_STRING)) return any_string(w, branches);
    rules_expression content = write_content(w, branches), quote = json_schema_word(w, "\"");
    if (rules_failed(w->rules)) return RULES_NONE;
    return content == RULES_NONE ? any_string(w, branches) : json_schema_seq(w, quote, content, quote);
}
