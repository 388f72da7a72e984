#include "server/json_body.h"

enum api_error_kind json_body_parse(const char *body, size_t length, json_t **root, struct api_error *e) {
    *root = NULL;
    if (!length) return api_error_set(e, API_INVALID, NULL, "The body is empty; a JSON object was expected.");
    json_error_t at;
    json_t *value = json_loadb(body, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &at);
    if (!value && json_error_code(&at) == json_error_out_of_memory)
        return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory to read the body.");
    if (!value)
        return api_error_set(e, API_INVALID, NULL, "The body is not valid JSON: line %d, column %d: %s.",
                             at.line < 1 ? 1 : at.line, at.column < 1 ? 1 : at.column, at.text);
    if (!json_is_object(value)) {
        api_error_set(e, API_INVALID, NULL, "The body must be a JSON object, not %s.",
                      json_body_type_name(value));
        json_decref(value);
        return e->kind;
    }
    *root = value;
    return API_OK;
}

json_t *json_body_field(const json_t *object, const char *name) {
    json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

const char *json_body_type_name(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "an unknown value";
}
