/* The JSON object in a request's body. Any thread that may wait: not the loop. */
#pragma once

#include <jansson.h>

#include "engine/api/engine.h"
#include "server/api/api_error.h"
#include "server/memory/serving_memory.h"

struct json_body {
    json_t *root; /* an object */
    struct serving_memory *memory;
    size_t taken;   /* of memory->reading */
    double seconds; /* of the thread's processor time that it took */
};

/* What is encoded of its texts at once: so many strings as one text, at most; none of more than bytes_max. */
struct json_body_text {
    size_t strings, bytes_max;
};

/* Nesting of arrays and objects; no field needs more than 3. */
enum { JSON_BODY_DEPTH_MAX = 64 };

/* Parses a body that must be one JSON object. First its bytes are counted through: what has too many values
 * or would take too much memory is refused, the rest waits until there is memory for the tree, for encoding
 * `text` if its strings are the longest, and for `beside` bytes more. Malformed text is refused with line and column; so are duplicate keys,
 * invalid UTF-8 and deeper nesting. NUL is allowed in strings. memory may be NULL: then nothing is counted
 * but the depth. json_body_close is needed after API_OK only. */
enum api_error_kind json_body_open(struct json_body *b, const char *body, size_t length,
                                   struct json_body_text text, size_t beside, struct serving_memory *memory,
                                   struct api_error *e);
void json_body_close(struct json_body *b);

/* A field's value; NULL when it is absent or null, which mean the same. */
json_t *json_body_field(const json_t *object, const char *name);

/* "a string", "an array", ... for messages. */
const char *json_body_type_name(const json_t *value);
