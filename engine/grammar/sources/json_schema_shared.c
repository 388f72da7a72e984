/* Values without a schema, and what stands between values: made once, so that equal places have equal states. */
#include <string.h>

#include "engine/grammar/sources/json_schema_writer.h"
#include "engine/grammar/sources/json_spelling.h"
#include "engine/grammar/sources/regex_source.h"

/* Digits of a number before its point and behind it: as many as an integer of 64 bits has, and more than a double needs. An
 * answer cannot get stuck within one number. */
#define DIGITS_MAX "19" /* behind the first */

/* Of white space by default: none, a space, or a line's end with an indent: an answer cannot get stuck in it either. */
static const char default_whitespace[] = " ?|\\r?\\n(?: {0,32}|\\t{0,8})";

static rules_expression plain(struct json_schema_writer *w, const char *regex) {
    const struct regex_style style = {.where = "JSON", .spelling = REGEX_PLAIN};
    return regex_write_as(w->rules, (struct engine_string){regex, strlen(regex)}, &style);
}

rules_expression json_schema_word(struct json_schema_writer *w, const char *text) {
    return rules_text(w->rules, text, strlen(text));
}

rules_expression json_schema_optional(struct json_schema_writer *w, rules_expression x) {
    return json_schema_or(w, json_schema_word(w, ""), x);
}

void json_schema_shared_init(struct json_schema_writer *w, const char *whitespace_pattern) {
    const char *pattern = whitespace_pattern ? whitespace_pattern : default_whitespace;
    const struct regex_style style = {.where = "whitespace_pattern", .spelling = REGEX_JSON_WHITESPACE};
    struct json_schema_shared *s = &w->shared;
    s->nothing = rules_points(w->rules, NULL, 0);
    s->space = regex_write_as(w->rules, (struct engine_string){pattern, strlen(pattern)}, &style);
    s->comma = json_schema_seq(w, s->space, json_schema_word(w, ","), s->space);
    s->colon = json_schema_seq(w, s->space, json_schema_word(w, ":"), s->space);
    s->value = s->object = s->array = s->text = s->key = s->number = s->integer = s->digit = RULES_NONE;
}

rules_expression json_schema_digit(struct json_schema_writer *w) {
    if (w->shared.digit == RULES_NONE)
        w->shared.digit = rules_points(w->rules, &(const struct rules_range){'0', '9'}, 1);
    return w->shared.digit;
}

/* ---- strings and numbers --------------------------------------------------------------------------------------------- */

/* Every spelling, but for surrogates that are no pair. */
rules_expression json_schema_any_string(struct json_schema_writer *w) {
    if (w->shared.text == RULES_NONE)
        w->shared.text = plain(
            w, "\"(?:[^\"\\\\\\x00-\\x1F]|\\\\(?:[\"\\\\/bfnrt]|u(?:[0-9a-cA-CefEF][0-9a-fA-F]{3}|"
               "[dD][0-7][0-9a-fA-F]{2}|[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2})))*\"");
    return w->shared.text;
}

rules_expression json_schema_any_key(struct json_schema_writer *w) {
    rules_expression quote = json_schema_word(w, "\"");
    if (w->shared.key == RULES_NONE)
        w->shared.key = json_schema_seq(
            w, quote, rules_repeat(w->rules, json_spelling_any(w->rules), 0, RULES_UNLIMITED), quote);
    return w->shared.key;
}

static rules_expression spelled(struct json_schema_writer *w, struct engine_string text, const char *quote) {
    struct text_buffer spelling = {0};
    rules_expression made = RULES_NONE;
    text_buffer_append(&spelling, quote, strlen(quote));
    json_spelling_append(&spelling, text.text, text.length);
    text_buffer_append(&spelling, quote, strlen(quote));
    if (spelling.failed)
        rules_fail(w->rules, STATUS_NO_MEMORY, "schema", "cannot allocate for a text of %zu bytes",
                   text.length);
    else
        made = rules_text(w->rules, spelling.bytes, spelling.length);
    text_buffer_deinit(&spelling);
    return made;
}

rules_expression json_schema_quoted(struct json_schema_writer *w, const char *text, size_t length) {
    return spelled(w, (struct engine_string){text, length}, "\"");
}

rules_expression json_schema_unquoted(struct json_schema_writer *w, const char *text, size_t length) {
    return spelled(w, (struct engine_string){text, length}, "");
}

rules_expression json_schema_any_integer(struct json_schema_writer *w) {
    if (w->shared.integer == RULES_NONE) w->shared.integer = plain(w, "-?(?:0|[1-9][0-9]{0," DIGITS_MAX "})");
    return w->shared.integer;
}

rules_expression json_schema_any_number(struct json_schema_writer *w) {
    if (w->shared.number == RULES_NONE)
        w->shared.number = plain(w, "-?(?:0|[1-9][0-9]{0," DIGITS_MAX "})(?:\\.[0-9]{1," DIGITS_MAX
                                    "})?(?:[eE][+-]?[0-9]{1,2})?");
    return w->shared.number;
}

/* ---- values in each other -------------------------------------------------------------------------------------------- */

/* A list of elements between brackets. */
static rules_expression enclosed(struct json_schema_writer *w, const char *open, rules_expression element,
                                 const char *close) {
    const struct json_schema_shared *s = &w->shared;
    rules_expression more = rules_repeat(w->rules, json_schema_seq(w, s->comma, element), 0, RULES_UNLIMITED);
    rules_expression all = json_schema_optional(w, json_schema_seq(w, element, more, s->space));
    return json_schema_seq(w, json_schema_word(w, open), s->space, all, json_schema_word(w, close));
}

static void make_values(struct json_schema_writer *w) {
    struct json_schema_shared *s = &w->shared;
    rules_name value = rules_declare(w->rules, "any value"), object = rules_declare(w->rules, "any object"),
               array = rules_declare(w->rules, "any list");
    rules_expression text = json_schema_any_string(w), number = json_schema_any_number(w);
    s->value = rules_call(w->rules, value);
    s->object = rules_call(w->rules, object);
    s->array = rules_call(w->rules, array);
    rules_define(w->rules, object, enclosed(w, "{", json_schema_seq(w, text, s->colon, s->value), "}"));
    rules_define(w->rules, array, enclosed(w, "[", s->value, "]"));
    rules_define(w->rules, value,
                 json_schema_or(w, s->object, s->array, text, number, json_schema_word(w, "true"),
                                json_schema_word(w, "false"), json_schema_word(w, "null")));
}

rules_expression json_schema_any_value(struct json_schema_writer *w) {
    if (w->shared.value == RULES_NONE) make_values(w);
    return w->shared.value;
}

rules_expression json_schema_any_array(struct json_schema_writer *w) {
    if (w->shared.array == RULES_NONE) make_values(w);
    return w->shared.array;
}

rules_expression json_schema_any_object(struct json_schema_writer *w) {
    if (w->shared.object == RULES_NONE) make_values(w);
    return w->shared.object;
}
