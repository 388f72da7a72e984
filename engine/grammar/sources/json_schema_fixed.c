/* enum and const. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/grammar/sources/json_decimal.h"
#include "engine/grammar/sources/json_schema_writer.h"

static bool is_whole(const json_t *number) {
    return json_is_integer(number) || json_real_value(number) == floor(json_real_value(number));
}

static unsigned type_of(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return JSON_SCHEMA_OBJECT;
    case JSON_ARRAY:
        return JSON_SCHEMA_ARRAY;
    case JSON_STRING:
        return JSON_SCHEMA_STRING;
    case JSON_INTEGER:
    case JSON_REAL:
        return is_whole(value) ? JSON_SCHEMA_INTEGER : JSON_SCHEMA_FRACTION;
    case JSON_TRUE:
    case JSON_FALSE:
        return JSON_SCHEMA_BOOLEAN;
    case JSON_NULL:
        break;
    }
    return JSON_SCHEMA_NULL;
}

static bool same(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b)) {
        struct json_decimal x, y;
        return json_decimal_read(a, &x) && json_decimal_read(b, &y) ? json_decimal_compare(&x, &y) == 0
                                                                    : json_equal(a, b);
    }
    return json_equal(a, b);
}

/* What it takes to compare it: its own values, whatever the other has; a number is read anew each time. */
static size_t steps_of(const json_t *value) {
    enum { NUMBER_STEPS = 8 };
    size_t steps = json_is_number(value) ? NUMBER_STEPS : 1;
    const char *key;
    json_t *part;
    for (size_t i = 0; i < json_array_size(value); i++) steps += steps_of(json_array_get(value, i));
    json_object_foreach((json_t *)value, key, part) {
        steps += steps_of(part);
    }
    return steps;
}

static bool is_in(struct json_schema_writer *w, const json_t *list, const json_t *value) {
    size_t steps = steps_of(value);
    for (size_t i = 0; i < json_array_size(list) && rules_spend(w->rules, steps); i++)
        if (same(json_array_get(list, i), value)) return true;
    return false;
}

/* Whether each branch's enum and const have the value; it is one of those of `own`. */
static bool is_in_all(struct json_schema_writer *w, const struct json_schema_list *branches,
                      const json_t *value, const json_t *own) {
    for (size_t i = 0; i < branches->count; i++) {
        const json_t *constant = json_object_get(branches->items[i], "const"),
                     *list = json_object_get(branches->items[i], "enum");
        if (constant && !same(constant, value)) return false;
        if (list && list != own && !is_in(w, list, value)) return false;
    }
    return true;
}

/* ---- writing a value --------------------------------------------------------------------------------------------- */

static rules_expression write_value(struct json_schema_writer *w, const json_t *value);

/* As deep as JSON_FILE_DEPTH_MAX. */
static rules_expression write_array(struct json_schema_writer *w, const json_t *array) {
    rules_expression all = w->shared.space;
    size_t count = json_array_size(array);
    for (size_t i = count; i-- > 0;) {
        rules_expression one = write_value(w, json_array_get(array, i));
        all = i + 1 < count ? json_schema_seq(w, one, w->shared.comma, all) : json_schema_seq(w, one, all);
    }
    if (count > 0) all = json_schema_seq(w, w->shared.space, all);
    return json_schema_seq(w, json_schema_word(w, "["), all, json_schema_word(w, "]"));
}

static rules_expression write_object(struct json_schema_writer *w, const json_t *object) {
    rules_expression all = json_schema_word(w, "");
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach((json_t *)object, key, value) {
        rules_expression before = count++ > 0 ? w->shared.comma : json_schema_word(w, "");
        rules_expression name = json_schema_quoted(w, key, strlen(key));
        all = json_schema_seq(w, all, before, name, w->shared.colon, write_value(w, value));
    }
    if (count > 0) all = json_schema_seq(w, all, w->shared.space);
    return json_schema_seq(w, json_schema_word(w, "{"), w->shared.space, all, json_schema_word(w, "}"));
}

static rules_expression write_value(struct json_schema_writer *w, const json_t *value) {
    char text[JSON_DECIMAL_TEXT_MAX];
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return write_object(w, value);
    case JSON_ARRAY:
        return write_array(w, value);
    case JSON_STRING:
        return json_schema_quoted(w, json_string_value(value), json_string_length(value));
    case JSON_INTEGER:
    case JSON_REAL:
        return rules_text(w->rules, text, json_decimal_text(value, text));
    case JSON_TRUE:
        return json_schema_word(w, "true");
    case JSON_FALSE:
        return json_schema_word(w, "false");
    case JSON_NULL:
        break;
    }
    return json_schema_word(w, "null");
}

/* ---- what else is asked of it ---------------------------------------------------------------------------------------- */

static rules_expression write_container(struct json_schema_writer *w, const struct json_schema_list *branches,
                                        const json_t *value) {
    bool is_object = json_is_object(value);
    if (json_schema_has_kind(branches, is_object ? JSON_SCHEMA_OF_OBJECT : JSON_SCHEMA_OF_ARRAY))
        return json_schema_refuse(
            w, STATUS_INVALID_ARGUMENT, value,
            "%s among the values of enum or const, beside keywords about %s, is not supported",
            is_object ? "an object" : "a list", is_object ? "objects" : "lists");
    return write_value(w, value);
}

/* One value, if all branches hold for it, but for what they ask of strings; own: the list that it is from, or NULL. */
static rules_expression write_if_valid(struct json_schema_writer *w, const struct json_schema_list *branches,
                                       unsigned types, const json_t *value, const json_t *own) {
    if (!(type_of(value) & types) || !is_in_all(w, branches, value, own)) return w->shared.nothing;
    if (json_is_object(value) || json_is_array(value)) return write_container(w, branches, value);
    if (json_is_number(value) && !json_schema_number_allows(w, branches, value)) return w->shared.nothing;
    return write_value(w, value);
}

/* Those of the list that are strings, or that are none. */
static rules_expression write_some(struct json_schema_writer *w, const struct json_schema_list *branches,
                                   unsigned types, const json_t *list, bool strings) {
    rules_expression *all = calloc(json_array_size(list) + 1, sizeof *all), one = RULES_NONE;
    size_t count = 0;
    if (!all) return rules_fail(w->rules, STATUS_NO_MEMORY, "schema", "cannot allocate for an enum");
    for (size_t i = 0; i < json_array_size(list) && !rules_failed(w->rules); i++) {
        const json_t *value = json_array_get(list, i);
        if (json_is_string(value) != strings) continue;
        one = write_if_valid(w, branches, types, value, list);
        if (one != w->shared.nothing) all[count++] = one;
    }
    one = count > 0 ? rules_choice(w->rules, all, count) : w->shared.nothing;
    free(all);
    return one;
}

/* Strings of which the branches' other keywords hold. */
static rules_expression narrow_strings(struct json_schema_writer *w, const struct json_schema_list *branches,
                                       rules_expression strings) {
    if (rules_failed(w->rules) || strings == w->shared.nothing ||
        !json_schema_has_kind(branches, JSON_SCHEMA_OF_STRING))
        return strings;
    return rules_intersection(w->rules, strings, json_schema_string(w, branches));
}

static rules_expression write_list(struct json_schema_writer *w, const struct json_schema_list *branches,
                                   unsigned types, const json_t *list) {
    rules_expression strings = narrow_strings(w, branches, write_some(w, branches, types, list, true));
    rules_expression others = write_some(w, branches, types, list, false);
    if (others == w->shared.nothing) return strings;
    return strings == w->shared.nothing ? others : json_schema_or(w, strings, others);
}

static rules_expression write_constant(struct json_schema_writer *w, const struct json_schema_list *branches,
                                       unsigned types, const json_t *constant) {
    rules_expression one = write_if_valid(w, branches, types, constant, NULL);
    return json_is_string(constant) ? narrow_strings(w, branches, one) : one;
}

rules_expression json_schema_fixed(struct json_schema_writer *w, const struct json_schema_list *branches,
                                   unsigned types, bool *found) {
    *found = true;
    for (size_t i = 0; i < branches->count; i++) {
        const json_t *constant = json_object_get(branches->items[i], "const"),
                     *list = json_object_get(branches->items[i], "enum");
        if (constant) return write_constant(w, branches, types, constant);
        if (list) return write_list(w, branches, types, list);
    }
    *found = false;
    return RULES_NONE;
}
