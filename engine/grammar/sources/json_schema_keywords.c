#include <math.h>
#include <string.h>

#include "engine/grammar/sources/json_schema_writer.h"

/* What a keyword's value has to be. */
enum form {
    FORM_VALUE,   /* anything */
    FORM_SCHEMA,  /* an object, true or false */
    FORM_SCHEMAS, /* a list of these, not empty */
    FORM_MAP,     /* an object of these */
    FORM_ITEMS,   /* a schema, or a list of them */
    FORM_STRING,
    FORM_NAMES, /* a list of strings */
    FORM_LIST,
    FORM_BOOLEAN,
    FORM_NUMBER,
    FORM_COUNT, /* a whole number from 0 on */
    FORM_TYPE,  /* the name of a type, or a list of them */
};

static const struct {
    const char *name;
    enum json_schema_kind kind;
    enum form form;
} keywords[] = {
#define KEYWORD(name, kind, form, note) {name, JSON_SCHEMA_OF_##kind, FORM_##form},
#include "engine/grammar/sources/json_schema_keywords.def"
#undef KEYWORD
};
enum { KEYWORD_COUNT = sizeof keywords / sizeof keywords[0] };

static size_t find_keyword(const char *name) {
    size_t i = 0;
    if (strncmp(name, "x-", 2) == 0) name = "x-"; /* one for all */
    while (i < KEYWORD_COUNT && strcmp(keywords[i].name, name) != 0) i++;
    return i;
}

enum json_schema_kind json_schema_keyword_kind(const char *name) {
    size_t i = find_keyword(name);
    return i < KEYWORD_COUNT ? keywords[i].kind : JSON_SCHEMA_UNKNOWN;
}

enum json_schema_holder json_schema_keyword_holder(const char *name) {
    size_t i = find_keyword(name);
    if (i == KEYWORD_COUNT) return JSON_SCHEMA_HOLDS_NONE;
    enum form form = keywords[i].form;
    if (form == FORM_MAP) return JSON_SCHEMA_HOLDS_MAP;
    return form == FORM_SCHEMA || form == FORM_SCHEMAS || form == FORM_ITEMS ? JSON_SCHEMA_HOLDS_SCHEMAS
                                                                             : JSON_SCHEMA_HOLDS_NONE;
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

static unsigned type_of_name(const json_t *name) {
    static const struct {
        const char *name;
        unsigned types;
    } names[] = {
        {"null", JSON_SCHEMA_NULL},       {"boolean", JSON_SCHEMA_BOOLEAN},
        {"integer", JSON_SCHEMA_INTEGER}, {"number", JSON_SCHEMA_INTEGER | JSON_SCHEMA_FRACTION},
        {"string", JSON_SCHEMA_STRING},   {"array", JSON_SCHEMA_ARRAY},
        {"object", JSON_SCHEMA_OBJECT},
    };
    for (size_t i = 0; json_is_string(name) && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(json_string_value(name), names[i].name) == 0) return names[i].types;
    return 0;
}

/* 0: no types. */
static unsigned types_of(const json_t *value) {
    unsigned types = 0;
    if (!json_is_array(value)) return type_of_name(value);
    for (size_t i = 0; i < json_array_size(value); i++) {
        unsigned one = type_of_name(json_array_get(value, i));
        if (one == 0) return 0;
        types |= one;
    }
    return types;
}

unsigned json_schema_types(const struct json_schema_list *branches) {
    unsigned types = JSON_SCHEMA_ALL_TYPES;
    for (size_t i = 0; i < branches->count; i++) {
        const json_t *value = json_object_get(branches->items[i], "type");
        if (value) types &= types_of(value);
    }
    return types;
}

/* ---- forms ------------------------------------------------------------------------------------------------------- */

static bool is_schema(const json_t *value) {
    return json_is_object(value) || json_is_boolean(value);
}

static bool are_schemas(const json_t *list) {
    if (json_array_size(list) == 0) return false;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!is_schema(json_array_get(list, i))) return false;
    return true;
}

static bool is_map(const json_t *value) {
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)value, key, member) {
        if (!is_schema(member)) return false;
    }
    return json_is_object(value);
}

static bool are_names(const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i))) return false;
    return json_is_array(list);
}

static bool is_count(const json_t *value) {
    double number = json_number_value(value);
    return json_is_number(value) && number >= 0 && number == floor(number);
}

static bool has_form(const json_t *value, enum form form) {
    switch (form) {
    case FORM_SCHEMA:
        return is_schema(value);
    case FORM_SCHEMAS:
        return are_schemas(value);
    case FORM_MAP:
        return is_map(value);
    case FORM_ITEMS:
        return is_schema(value) || are_schemas(value);
    case FORM_STRING:
        return json_is_string(value);
    case FORM_NAMES:
        return are_names(value);
    case FORM_LIST:
        return json_is_array(value);
    case FORM_BOOLEAN:
        return json_is_boolean(value);
    case FORM_NUMBER:
        return json_is_number(value);
    case FORM_COUNT:
        return is_count(value);
    case FORM_TYPE:
        return types_of(value) != 0;
    case FORM_VALUE:
        break;
    }
    return true;
}

static const char *form_name(enum form form) {
    static const char *const names[] = {
        [FORM_VALUE] = "a value",
        [FORM_SCHEMA] = "an object, true or false",
        [FORM_SCHEMAS] = "a list of schemas, not empty",
        [FORM_MAP] = "an object of schemas",
        [FORM_ITEMS] = "a schema, or a list of them",
        [FORM_STRING] = "a string",
        [FORM_NAMES] = "a list of strings",
        [FORM_LIST] = "a list",
        [FORM_BOOLEAN] = "true or false",
        [FORM_NUMBER] = "a number",
        [FORM_COUNT] = "a whole number from 0 on",
        [FORM_TYPE] = "null, boolean, integer, number, string, array or object, or a list of these",
    };
    return names[form];
}

static void check_keyword(struct json_schema_writer *w, const json_t *schema, const char *name,
                          const json_t *value) {
    size_t i = find_keyword(name);
    if (i == KEYWORD_COUNT)
        json_schema_refuse(w, STATUS_INVALID_ARGUMENT, schema, "'%s' is no keyword that is understood", name);
    else if (keywords[i].kind == JSON_SCHEMA_OF_REFUSED)
        json_schema_refuse(w, STATUS_INVALID_ARGUMENT, schema, "'%s' is not supported", name);
    else if (!has_form(value, keywords[i].form))
        json_schema_refuse(w, STATUS_INVALID_ARGUMENT, schema, "'%s': expected %s", name,
                           form_name(keywords[i].form));
}

/* Keywords that are understood for some values only. */
static void check_values(struct json_schema_writer *w, const json_t *schema) {
    const json_t *not = json_object_get(schema, "not");
    const char *format = json_string_value(json_object_get(schema, "format"));
    if (format && !json_schema_string_has_format(format) && !json_schema_number_has_format(format))
        json_schema_refuse(w, STATUS_INVALID_ARGUMENT, schema, "'format': '%s' is not supported", format);
    if (json_is_true(json_object_get(schema, "uniqueItems")))
        json_schema_refuse(w, STATUS_INVALID_ARGUMENT, schema, "'uniqueItems': true is not supported");
    if (json_is_object(not ) && json_object_size(not ) > 0)
        json_schema_refuse(w, STATUS_INVALID_ARGUMENT, schema,
                           "'not' is supported of true, false and {} only");
    if (json_object_get(schema, "$ref") && json_object_get(schema, "$id") && schema != w->root)
        json_schema_refuse(w, STATUS_INVALID_ARGUMENT, schema,
                           "'$ref' beside '$id' is not supported, for drafts differ in what it refers to");
    if (json_object_get(schema, "id") && schema != w->root)
        json_schema_refuse(w, STATUS_INVALID_ARGUMENT, schema, "'id' is supported at the root only");
    if (json_object_get(schema, "prefixItems") && json_is_array(json_object_get(schema, "items")))
        json_schema_refuse(w, STATUS_INVALID_ARGUMENT, schema, "'prefixItems' beside a list of 'items'");
}

static size_t size_of(const json_t *value) {
    return json_is_array(value) ? json_array_size(value) : json_object_size(value);
}

void json_schema_keywords_check(struct json_schema_writer *w, const json_t *schema) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)schema, name, value) {
        if (!rules_spend(w->rules, 2 + size_of(value) / 8)) return;
        check_keyword(w, schema, name, value);
    }
    if (!rules_failed(w->rules)) check_values(w, schema);
}

/* ---- what branches say --------------------------------------------------------------------------------------------- */

bool json_schema_has_kind(const struct json_schema_list *branches, enum json_schema_kind kind) {
    for (size_t i = 0; i < branches->count; i++) {
        const char *name;
        json_t *value;
        json_object_foreach((json_t *)branches->items[i], name, value) {
            if (json_schema_keyword_kind(name) == kind) return true;
        }
    }
    return false;
}

/* Of what a keyword may count: beyond it is as good as without end. */
enum { COUNT_MAX = 0x7FFFFFFF };

size_t json_schema_count(const struct json_schema_list *branches, const char *keyword, bool largest,
                         size_t fallback) {
    size_t found = fallback;
    bool is_first = true;
    for (size_t i = 0; i < branches->count; i++) {
        const json_t *value = json_object_get(branches->items[i], keyword);
        if (!value) continue;
        double number = json_number_value(value);
        size_t count = number < COUNT_MAX ? (size_t)number : COUNT_MAX;
        if (is_first || (largest ? count > found : count < found)) found = count;
        is_first = false;
    }
    return found;
}
