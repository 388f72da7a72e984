#include "engine/files/json_path.h"

#include <stdio.h>
#include <string.h>

struct json_path json_path_member(const struct json_path *parent, const char *key) {
    const json_t *value = json_object_get(parent->value, key);
    return (struct json_path){.parent = parent, .name = key, .value = json_is_null(value) ? NULL : value};
}

struct json_path json_path_element(const struct json_path *parent, size_t index) {
    return (struct json_path){
        .parent = parent, .index = index, .value = json_array_get(parent->value, index)};
}

/* Writes the path from below the file's name; the text is cut where it does not fit. */
static size_t write_path(const struct json_path *path, char *out, size_t size) {
    enum { DEPTH_SHOWN = 24 };
    const struct json_path *chain[DEPTH_SHOWN];
    size_t depth = 0, length = 0;
    for (; path->parent && depth < DEPTH_SHOWN; path = path->parent) chain[depth++] = path;
    out[0] = '\0';
    while (depth-- > 0 && length + 1 < size) {
        const struct json_path *p = chain[depth];
        int wrote = p->name ? snprintf(out + length, size - length, "%s%s", length ? "." : "", p->name)
                            : snprintf(out + length, size - length, "[%zu]", p->index);
        length += wrote > 0 ? (size_t)wrote : 0;
    }
    return length < size ? length : size - 1;
}

static const char *file_of(const struct json_path *path) {
    while (path->parent) path = path->parent;
    return path->name;
}

enum status json_path_error(const struct json_path *path, enum status code, struct error *e,
                            const char *format, ...) {
    char written[256], text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t length = write_path(path, written, sizeof written);
    return error_set(e, code, file_of(path), "%s%s%s", written, length ? ": " : "", text);
}

enum status json_path_object(const struct json_path *path, struct error *e) {
    if (json_is_object(path->value)) return STATUS_OK;
    return json_path_error(path, STATUS_MALFORMED, e, "expected an object");
}

enum status json_path_bool(const struct json_path *parent, const char *key, bool fallback, bool *out,
                           struct error *e) {
    struct json_path path = json_path_member(parent, key);
    *out = fallback;
    if (!path.value) return STATUS_OK;
    if (!json_is_boolean(path.value))
        return json_path_error(&path, STATUS_MALFORMED, e, "expected true or false");
    *out = json_is_true(path.value);
    return STATUS_OK;
}

enum status json_path_count(const struct json_path *parent, const char *key, int64_t fallback, int64_t max,
                            int64_t *out, struct error *e) {
    struct json_path path = json_path_member(parent, key);
    *out = fallback;
    if (!path.value) return STATUS_OK;
    json_int_t value = json_integer_value(path.value);
    if (!json_is_integer(path.value) || value < 0 || value > max)
        return json_path_error(&path, STATUS_MALFORMED, e, "expected an integer from 0 to %lld",
                               (long long)max);
    *out = value;
    return STATUS_OK;
}

enum status json_path_string(const struct json_path *parent, const char *key, const char *fallback,
                             const char **out, size_t *length, struct error *e) {
    struct json_path path = json_path_member(parent, key);
    if (!path.value && fallback) {
        *out = fallback;
        if (length) *length = strlen(fallback);
        return STATUS_OK;
    }
    if (!json_is_string(path.value)) return json_path_error(&path, STATUS_MALFORMED, e, "expected a string");
    *out = json_string_value(path.value);
    if (!length && strlen(*out) != json_string_length(path.value))
        return json_path_error(&path, STATUS_MALFORMED, e, "has U+0000 where none is possible");
    if (length) *length = json_string_length(path.value);
    return STATUS_OK;
}

enum status json_path_array(const struct json_path *path, size_t *count, struct error *e) {
    if (!json_is_array(path->value)) return json_path_error(path, STATUS_MALFORMED, e, "expected an array");
    *count = json_array_size(path->value);
    return STATUS_OK;
}

enum status json_path_type(const struct json_path *object, const char **type, struct error *e) {
    enum status status = json_path_object(object, e);
    if (status != STATUS_OK) return status;
    return json_path_string(object, "type", NULL, type, NULL, e);
}
