#include "server/api/structured.h"

#include <string.h>

#include "server/api/json_body.h"
#include "server/json/scan.h"
#include "server/json/write.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ---- one constraint ------------------------------------------------------------------------------------ */

static struct engine_string text_of(const json_t *string) {
    return (struct engine_string){json_string_value(string), json_string_length(string)};
}

static enum api_error_kind set_source(struct api_structured *s, const char *field, enum grammar_kind kind,
                                      struct engine_string text, struct api_error *e) {
    if (s->field)
        return api_error_set(e, API_INVALID, field,
                             "'%s' and '%s' each say what the text must match; only one of them can hold.",
                             s->field, field);
    s->field = field;
    s->source.kind = kind;
    s->source.text = text;
    return API_OK;
}

static enum api_error_kind read_string(struct api_structured *s, const char *field, enum grammar_kind kind,
                                       const json_t *value, struct api_error *e) {
    if (!json_is_string(value)) return api_field_wrong_type(e, field, "a string", value);
    return json_string_length(value) == 0 ? API_OK : set_source(s, field, kind, text_of(value), e);
}

/* A JSON value as text. Numbers keep all of their digits, members their order. */
static enum api_error_kind read_value(struct api_structured *s, const char *field, enum grammar_kind kind,
                                      const json_t *value, struct api_error *e) {
    if (set_source(s, field, kind, (struct engine_string){NULL, 0}, e) != API_OK) return e->kind;
    json_write_value(&s->json, value);
    if (s->json.failed)
        return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
    s->source.text = (struct engine_string){s->json.data, s->json.length};
    s->source.document = value;
    return API_OK;
}

/* A schema: a value of the body, or a string with its text, as vLLM takes them. */
static enum api_error_kind read_schema(struct api_structured *s, const char *field, const char *place,
                                       const json_t *value, struct api_error *e) {
    if (json_is_string(value)) return read_string(s, field, GRAMMAR_JSON_SCHEMA, value, e);
    if (json_is_object(value) || json_is_boolean(value))
        return read_value(s, field, GRAMMAR_JSON_SCHEMA, value, e);
    return api_error_set(e, API_INVALID, field, "'%s' must be a JSON schema, not %s.", place,
                         json_body_type_name(value));
}

static enum api_error_kind read_choice(struct api_structured *s, const char *field, const json_t *value,
                                       struct api_error *e) {
    if (!json_is_array(value)) return api_field_wrong_type(e, field, "an array of strings", value);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_string(json_array_get(value, i)))
            return api_field_wrong_type(e, field, "an array of strings", json_array_get(value, i));
    return json_array_size(value) == 0 ? API_OK : read_value(s, field, GRAMMAR_CHOICE, value, e);
}

static enum api_error_kind read_object(struct api_structured *s, const char *field, const json_t *value,
                                       struct api_error *e) {
    if (!json_is_boolean(value)) return api_field_wrong_type(e, field, "true or false", value);
    if (json_is_false(value)) return API_OK;
    return set_source(s, field, GRAMMAR_JSON_OBJECT, (struct engine_string){"", 0}, e);
}

/* ---- fields with one of them --------------------------------------------------------------------------- */

enum field_kind {
    FIELD_SCHEMA,
    FIELD_REGEX,
    FIELD_CHOICE,
    FIELD_GBNF,
    FIELD_OBJECT,
    FIELD_WHITESPACE,
    FIELD_COMPACT,
    FIELD_CLOSED,
    FIELD_FALLBACK, /* to another library than the one that was asked for: there is but one here */
};

struct field {
    const char *name, *place; /* within its object; in messages */
    enum field_kind kind;
};

static const struct field in_body[] = {
    {"guided_json", "guided_json", FIELD_SCHEMA},
    {"guided_regex", "guided_regex", FIELD_REGEX},
    {"guided_choice", "guided_choice", FIELD_CHOICE},
    {"guided_grammar", "guided_grammar", FIELD_GBNF},
    {"guided_json_object", "guided_json_object", FIELD_OBJECT},
    {"guided_whitespace_pattern", "guided_whitespace_pattern", FIELD_WHITESPACE},
    {"grammar", "grammar", FIELD_GBNF},
    {"json_schema", "json_schema", FIELD_SCHEMA},
};

static const struct field in_structured_outputs[] = {
    {"json", "structured_outputs.json", FIELD_SCHEMA},
    {"regex", "structured_outputs.regex", FIELD_REGEX},
    {"choice", "structured_outputs.choice", FIELD_CHOICE},
    {"grammar", "structured_outputs.grammar", FIELD_GBNF},
    {"json_object", "structured_outputs.json_object", FIELD_OBJECT},
    {"whitespace_pattern", "structured_outputs.whitespace_pattern", FIELD_WHITESPACE},
    {"disable_any_whitespace", "structured_outputs.disable_any_whitespace", FIELD_COMPACT},
    {"disable_additional_properties", "structured_outputs.disable_additional_properties", FIELD_CLOSED},
    {"disable_fallback", "structured_outputs.disable_fallback", FIELD_FALLBACK},
};

static enum api_error_kind read_flag(const char *field, const json_t *value, bool *out, struct api_error *e) {
    if (!json_is_boolean(value)) return api_field_wrong_type(e, field, "true or false", value);
    *out = json_is_true(value);
    return API_OK;
}

static enum api_error_kind read_field(struct api_structured *s, const struct field *field,
                                      const json_t *value, struct api_error *e) {
    bool any;
    switch (field->kind) {
    case FIELD_SCHEMA:
        return read_schema(s, field->place, field->place, value, e);
    case FIELD_REGEX:
        return read_string(s, field->place, GRAMMAR_REGEX, value, e);
    case FIELD_CHOICE:
        return read_choice(s, field->place, value, e);
    case FIELD_GBNF:
        return read_string(s, field->place, GRAMMAR_GBNF, value, e);
    case FIELD_OBJECT:
        return read_object(s, field->place, value, e);
    case FIELD_WHITESPACE:
        if (!json_is_string(value)) return api_field_wrong_type(e, field->place, "a string", value);
        s->source.whitespace = text_of(value);
        return API_OK;
    case FIELD_COMPACT:
        return read_flag(field->place, value, &s->source.is_compact, e);
    case FIELD_CLOSED:
        return read_flag(field->place, value, &s->source.closes_objects, e);
    case FIELD_FALLBACK:
        return read_flag(field->place, value, &any, e);
    }
    return API_OK;
}

static enum api_error_kind read_fields(struct api_structured *s, const json_t *object,
                                       const struct field *fields, size_t count, struct api_error *e) {
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_body_field(object, fields[i].name);
        if (value && read_field(s, &fields[i], value, e) != API_OK) return e->kind;
    }
    return API_OK;
}

static enum api_error_kind read_structured_outputs(struct api_structured *s, const json_t *body,
                                                   const struct api_limits *limits, struct api_error *e) {
    const char *known[COUNT(in_structured_outputs)];
    const json_t *object = json_body_field(body, "structured_outputs");
    if (!object) return API_OK;
    if (!json_is_object(object)) return api_field_wrong_type(e, "structured_outputs", "an object", object);
    for (size_t i = 0; i < COUNT(known); i++) known[i] = in_structured_outputs[i].name;
    if (api_fields_check(object, "structured_outputs.", known, COUNT(known), limits, e) != API_OK)
        return e->kind;
    return read_fields(s, object, in_structured_outputs, COUNT(in_structured_outputs), e);
}

/* ---- response_format ----------------------------------------------------------------------------------- */

/* OpenAI's {"name": .., "schema": .., "strict": ..}. A schema is kept to in any case: `strict` asks for what is done. */
static enum api_error_kind read_json_schema(struct api_structured *s, const json_t *object,
                                            const struct api_limits *limits, struct api_error *e) {
    static const char *const known[] = {"name", "description", "schema", "strict"};
    if (!json_is_object(object))
        return api_error_set(e, API_INVALID, "response_format",
                             "'response_format.json_schema' must be an object with a 'schema'.");
    const json_t *schema = json_body_field(object, "schema");
    if (!schema)
        return api_error_set(e, API_INVALID, "response_format",
                             "'response_format.json_schema' has no 'schema'.");
    if (read_schema(s, "response_format", "response_format.json_schema.schema", schema, e) != API_OK)
        return e->kind;
    return api_fields_check(object, "response_format.json_schema.", known, COUNT(known), limits, e);
}

static enum api_error_kind read_response_format(struct api_structured *s, const json_t *body,
                                                const struct api_limits *limits, struct api_error *e) {
    static const char *const known[] = {"type", "json_schema", "schema"};
    const json_t *object = json_body_field(body, "response_format");
    if (!object) return API_OK;
    if (!json_is_object(object)) return api_field_wrong_type(e, "response_format", "an object", object);
    const char *type = json_string_value(json_object_get(object, "type"));
    const json_t *schema = json_body_field(object, "schema"); /* llama-server has it here */
    if (!type) type = "";
    if (api_fields_check(object, "response_format.", known, COUNT(known), limits, e) != API_OK)
        return e->kind;
    if (strcmp(type, "text") == 0) return API_OK;
    if (strcmp(type, "json_object") == 0 && !schema) return read_object(s, "response_format", json_true(), e);
    if (strcmp(type, "json_object") == 0)
        return read_schema(s, "response_format", "response_format.schema", schema, e);
    if (strcmp(type, "json_schema") == 0)
        return read_json_schema(s, json_object_get(object, "json_schema"), limits, e);
    return api_error_set(e, API_INVALID, "response_format",
                         "'response_format.type' must be \"text\", \"json_object\" or \"json_schema\".");
}

static bool is_json(enum grammar_kind kind) {
    return kind == GRAMMAR_JSON_OBJECT || kind == GRAMMAR_JSON_SCHEMA;
}

/* What is said of JSON is about JSON, and one thing is said of its white space. */
static enum api_error_kind check_json(const struct api_structured *s, struct api_error *e) {
    const struct grammar_source *source = &s->source;
    const char *what = source->whitespace.length > 0 ? "a whitespace pattern"
                       : source->is_compact          ? "'disable_any_whitespace'"
                       : source->closes_objects      ? "'disable_additional_properties'"
                                                     : NULL;
    if (!s->field || !what) return API_OK;
    if (source->whitespace.length > 0 && source->is_compact)
        return api_error_set(
            e, API_INVALID, "structured_outputs.disable_any_whitespace",
            "'structured_outputs.disable_any_whitespace' and a whitespace pattern: only one of "
            "them can hold.");
    if (is_json(source->kind)) return API_OK;
    return api_error_set(e, API_INVALID, s->field,
                         "'%s' and %s: that one is for JSON, and nothing here is JSON.", s->field, what);
}

/* ---- before the body is parsed ------------------------------------------------------------------------- */

/* A value or a key has a byte, and another one behind it. */
#define SHORTEST_BODY_WITH_TOO_MANY ((size_t)2 * API_STRUCTURED_VALUES_MAX)

/* A key with escapes may be any. */
static bool is_named(const struct json_scan_member *member, const char *name) {
    if (memchr(member->key, '\\', member->key_length)) return true;
    return member->key_length == strlen(name) && memcmp(member->key, name, member->key_length) == 0;
}

/* The name in messages of the field that a member of the body is; NULL: it says nothing of the text. */
static const char *name_of(const struct json_scan_member *member) {
    static const char *const with_more[] = {"response_format", "structured_outputs"};
    for (size_t i = 0; i < COUNT(with_more); i++)
        if (is_named(member, with_more[i])) return with_more[i];
    for (size_t i = 0; i < COUNT(in_body); i++)
        if (is_named(member, in_body[i].name)) return in_body[i].name;
    return NULL;
}

static enum api_error_kind check_member(const char *field, const struct json_scan_member *member,
                                        struct api_error *e) {
    struct json_scan scan;
    if (member->value_length > API_STRUCTURED_BYTES_MAX)
        return api_error_set(e, API_INVALID, field, "'%s' has %zu bytes; at most %d are allowed.", field,
                             member->value_length, API_STRUCTURED_BYTES_MAX);
    json_scan(member->value, member->value_length, &scan);
    size_t count = json_scan_values(&scan) + scan.keys;
    if (count > API_STRUCTURED_VALUES_MAX)
        return api_error_set(e, API_INVALID, field,
                             "'%s' has %zu JSON values and keys; at most %d are allowed.", field, count,
                             API_STRUCTURED_VALUES_MAX);
    return API_OK;
}

enum api_error_kind api_structured_check(const char *body, size_t length, struct api_error *e) {
    struct json_scan_member member;
    size_t at = 0;
    if (length < SHORTEST_BODY_WITH_TOO_MANY) return API_OK;
    while (json_scan_next(body, length, &at, &member)) {
        const char *field = name_of(&member);
        if (field && check_member(field, &member, e) != API_OK) return e->kind;
    }
    return API_OK;
}

/* ---- all ----------------------------------------------------------------------------------------------- */

enum api_error_kind api_structured_read(struct api_structured *s, const json_t *body,
                                        const struct api_limits *limits, struct api_error *e) {
    if (read_response_format(s, body, limits, e) != API_OK) return e->kind;
    if (read_structured_outputs(s, body, limits, e) != API_OK) return e->kind;
    if (read_fields(s, body, in_body, COUNT(in_body), e) != API_OK) return e->kind;
    return check_json(s, e);
}

void api_structured_deinit(struct api_structured *s) {
    bytes_deinit(&s->json);
    *s = (struct api_structured){0};
}
