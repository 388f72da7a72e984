#include "engine/text/json_place.h"

#include <stdio.h>
#include <string.h>

struct json_place json_place_member(const struct json_place *parent, const char *key) {
    const json_t *value = json_object_get(parent->value, key);
    return (struct json_place){.parent = parent, .name = key, .value = json_is_null(value) ? NULL : value};
}

struct json_place json_place_element(const struct json_place *parent, size_t index) {
    return (struct json_place){
        .parent = parent, .index = index, .value = json_array_get(parent->value, index)};
}

/* Writes the path from below the file's name; the text is cut where it does not fit. */
static size_t write_path(const struct json_place *place, char *out, size_t size) {
    enum { DEPTH_SHOWN = 24 };
    const struct json_place *chain[DEPTH_SHOWN];
    size_t depth = 0, length = 0;
    for (; place->parent && depth < DEPTH_SHOWN; place = place->parent) chain[depth++] = place;
    out[0] = '\0';
    while (depth-- > 0 && length + 1 < size) {
        const struct json_place *p = chain[depth];
        int wrote = p->name ? snprintf(out + length, size - length, "%s%s", length ? "." : "", p->name)
                            : snprintf(out + length, size - length, "[%zu]", p->index);
        length += wrote > 0 ? (size_t)wrote : 0;
    }
    return length < size ? length : size - 1;
}

static const char *file_of(const struct json_place *place) {
    while (place->parent) place = place->parent;
    return place->name;
}

enum status json_place_error(const struct json_place *place, enum status code, struct error *e,
                             const char *format, ...) {
    char path[256], text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t length = write_path(place, path, sizeof path);
    return error_set(e, code, file_of(place), "%s%s%s", path, length ? ": " : "", text);
}

enum status json_place_object(const struct json_place *place, struct error *e) {
    if (json_is_object(place->value)) return STATUS_OK;
    return json_place_error(place, STATUS_MALFORMED, e, "expected an object");
}

enum status json_place_bool(const struct json_place *parent, const char *key, bool otherwise, bool *out,
                            struct error *e) {
    struct json_place place = json_place_member(parent, key);
    *out = otherwise;
    if (!place.value) return STATUS_OK;
    if (!json_is_boolean(place.value))
        return json_place_error(&place, STATUS_MALFORMED, e, "expected true or false");
    *out = json_is_true(place.value);
    return STATUS_OK;
}

enum status json_place_count(const struct json_place *parent, const char *key, int64_t otherwise, int64_t max,
                             int64_t *out, struct error *e) {
    struct json_place place = json_place_member(parent, key);
    *out = otherwise;
    if (!place.value) return STATUS_OK;
    json_int_t value = json_integer_value(place.value);
    if (!json_is_integer(place.value) || value < 0 || value > max)
        return json_place_error(&place, STATUS_MALFORMED, e, "expected an integer from 0 to %lld",
                                (long long)max);
    *out = value;
    return STATUS_OK;
}

enum status json_place_string(const struct json_place *parent, const char *key, const char *otherwise,
                              const char **out, size_t *length, struct error *e) {
    struct json_place place = json_place_member(parent, key);
    if (!place.value && otherwise) {
        *out = otherwise;
        if (length) *length = strlen(otherwise);
        return STATUS_OK;
    }
    if (!json_is_string(place.value))
        return json_place_error(&place, STATUS_MALFORMED, e, "expected a string");
    *out = json_string_value(place.value);
    if (length) *length = json_string_length(place.value);
    return STATUS_OK;
}

enum status json_place_array(const struct json_place *place, size_t *count, struct error *e) {
    if (!json_is_array(place->value))
        return json_place_error(place, STATUS_MALFORMED, e, "expected an array");
    *count = json_array_size(place->value);
    return STATUS_OK;
}

enum status json_place_type(const struct json_place *object, const char **type, struct error *e) {
    enum status status = json_place_object(object, e);
    if (status != STATUS_OK) return status;
    return json_place_string(object, "type", NULL, type, NULL, e);
}
