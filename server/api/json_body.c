#include "server/api/json_body.h"

#include <math.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "server/json/read.h"
#include "server/json/scan.h"

/* A tree of this size is worth asking the heap to give its memory back. */
#define LARGE_TREE_BYTES ((size_t)8 << 20)

#define PARSE_FLAGS (JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY)

/* Of a value whose integers were read as floating point. Not deeper than JSON_BODY_DEPTH_MAX. */
static bool has_too_large(const json_t *value) {
    const char *key;
    json_t *member;
    size_t i;
    if (json_is_real(value)) return fabs(json_real_value(value)) >= 0x1p63;
    json_array_foreach(value, i, member) if (has_too_large(member)) return true;
    json_object_foreach((json_t *)(uintptr_t)value, key, member) if (has_too_large(member)) return true;
    return false;
}

/* JSON has no limits for numbers; we have. Says in which field, where that can be found out. */
static enum api_error_kind refuse_number(const char *body, size_t length, const json_error_t *at,
                                         struct api_error *e) {
    json_t *value = json_read(body, length, PARSE_FLAGS | JSON_DECODE_INT_AS_REAL, NULL), *member;
    const char *key, *found = NULL;
    json_object_foreach(value, key, member) if (!found && has_too_large(member)) found = key;
    if (found)
        api_error_set(
            e, API_INVALID, found,
            "'%.60s' has a number that is too large: integers of up to 64 bits with a sign are read.", found);
    else
        api_error_set(e, API_INVALID, NULL, "The body has a number that is too large: line %d, column %d.",
                      at->line, at->column);
    json_decref(value);
    return e->kind;
}

static enum api_error_kind parse(const char *body, size_t length, json_t **root, struct api_error *e) {
    json_error_t at;
    json_t *value = json_read(body, length, PARSE_FLAGS, &at);
    if (!value && json_error_code(&at) == json_error_out_of_memory)
        return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory to read the body.");
    if (!value && json_error_code(&at) == json_error_numeric_overflow)
        return refuse_number(body, length, &at, e);
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

static enum api_error_kind check_size(const struct json_scan *scan, size_t bytes,
                                      const struct serving_memory *memory, struct api_error *e) {
    size_t values = json_scan_values(scan);
    if (scan->depth > JSON_BODY_DEPTH_MAX)
        return api_error_set(e, API_INVALID, NULL,
                             "The body is nested to a depth of %zu; at most %d is allowed.", scan->depth,
                             JSON_BODY_DEPTH_MAX);
    if (memory && values > memory->values_max)
        return api_error_set(e, API_BODY_TOO_LARGE, NULL,
                             "The body has %zu JSON values; at most %zu are allowed.", values,
                             memory->values_max);
    if (memory && bytes > memory->reading.max)
        return api_error_set(
            e, API_BODY_TOO_LARGE, NULL,
            "Reading the body would take %zu KiB of memory; at most %zu KiB are allowed. Send "
            "shorter prompts, or fewer at once.",
            bytes >> 10, memory->reading.max >> 10);
    return API_OK;
}

/* The longest text that may come of strings of a body of so many bytes. */
static size_t longest_text(const struct json_body_text *text, size_t longest_string, size_t length) {
    size_t bytes;
    if (!memory_multiply(longest_string, text->strings, &bytes) || bytes > length) bytes = length;
    return bytes < text->bytes_max ? bytes : text->bytes_max;
}

enum api_error_kind json_body_open(struct json_body *b, const char *body, size_t length,
                                   struct json_body_text text, size_t beside, struct serving_memory *memory,
                                   struct api_error *e) {
    struct json_scan scan;
    uint64_t start = clock_thread_ns();
    *b = (struct json_body){.memory = memory};
    if (!length) return api_error_set(e, API_INVALID, NULL, "The body is empty; a JSON object was expected.");
    json_scan(body, length, &scan);
    size_t tree = json_scan_tree_bytes(&scan), bytes;
    size_t encoding = engine_encode_bytes(longest_text(&text, scan.longest_string, length));
    if (__builtin_add_overflow(tree, encoding, &bytes) || __builtin_add_overflow(bytes, beside, &bytes))
        bytes = SIZE_MAX;
    if (check_size(&scan, bytes, memory, e) != API_OK) return e->kind;
    if (memory) gate_enter(&memory->reading, bytes);
    b->taken = bytes;
    if (parse(body, length, &b->root, e) != API_OK) {
        json_body_close(b);
        return e->kind;
    }
    b->seconds = (double)(clock_thread_ns() - start) * 1e-9;
    return API_OK;
}

void json_body_close(struct json_body *b) {
    json_decref(b->root);
    if (b->taken >= LARGE_TREE_BYTES) memory_give_back();
    if (b->memory) gate_leave(&b->memory->reading, b->taken);
    *b = (struct json_body){0};
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
