/* The JSON object in a request's body. Pure: any thread. */
#pragma once

#include <jansson.h>

#include "server/api_error.h"

/* Parses a body that must be one JSON object. Malformed text is refused with line and column; so are
 * duplicate keys, invalid UTF-8 and nesting past jansson's limit of 2,048. NUL is allowed in strings. *root
 * is the caller's to json_decref. */
enum api_error_kind json_body_parse(const char *body, size_t length, json_t **root, struct api_error *e);

/* A field's value; NULL when it is absent or null, which mean the same. */
json_t *json_body_field(const json_t *object, const char *name);

/* "a string", "an array", ... for messages. */
const char *json_body_type_name(const json_t *value);
