#include "engine/model/config_reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/name_list.h"

enum status config_reader_init(struct config_reader *r, const json_t *root, const char *file,
                               const char *model_type, struct error *e) {
    *r = (struct config_reader){.root = root, .model_type = model_type, .known = json_object()};
    snprintf(r->file, sizeof r->file, "%s", file);
    r->error.code = STATUS_OK;
    if (!r->known) return error_set(e, STATUS_NO_MEMORY, file, "out of memory");
    return STATUS_OK;
}

void config_reader_deinit(struct config_reader *r) {
    json_decref(r->known);
    r->known = NULL;
}

/* A key that is forgotten for want of memory would count as unknown. */
static void remember(struct config_reader *r, const char *key) {
    if (json_object_set_new(r->known, key, json_true()) != 0 && !config_failed(r))
        error_set(&r->error, STATUS_NO_MEMORY, r->file, "out of memory");
}

/* The value of a key, NULL when absent or null; remembers that it was read. */
static const json_t *value_of(struct config_reader *r, const char *key) {
    remember(r, key);
    const json_t *value = json_object_get(r->root, key);
    return json_is_null(value) ? NULL : value;
}

/* expected is a format. */
__attribute__((format(printf, 4, 5))) static void fail(struct config_reader *r, const char *key,
                                                       const json_t *found, const char *expected, ...) {
    if (config_failed(r)) return;
    char *text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    char place[256], wanted[320];
    va_list args;
    va_start(args, expected);
    vsnprintf(wanted, sizeof wanted, expected, args);
    va_end(args);
    snprintf(place, sizeof place, "%s: %.100s", r->file, key);
    if (found)
        error_set(&r->error, STATUS_MALFORMED, place, "found %.100s, expected %s", text ? text : "?", wanted);
    else
        error_set(&r->error, STATUS_MALFORMED, place, "is missing; expected %s", wanted);
    free(text);
}

bool config_has(struct config_reader *r, const char *key) {
    return value_of(r, key) != NULL;
}

const json_t *config_value(struct config_reader *r, const char *key) {
    return value_of(r, key);
}

static size_t read_size(struct config_reader *r, const char *key, const json_t *value, size_t fallback,
                        size_t min, size_t max) {
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    if (number >= 0 && (size_t)number >= min && (size_t)number <= max) return (size_t)number;
    fail(r, key, value, "an integer from %zu to %zu", min, max);
    return fallback;
}

size_t config_size(struct config_reader *r, const char *key, size_t fallback, size_t min, size_t max) {
    const json_t *value = value_of(r, key);
    return value ? read_size(r, key, value, fallback, min, max) : fallback;
}

size_t config_size_required(struct config_reader *r, const char *key, size_t min, size_t max) {
    return read_size(r, key, value_of(r, key), min, min, max);
}

double config_real(struct config_reader *r, const char *key, double fallback, double min, double max) {
    const json_t *value = value_of(r, key);
    if (!value) return fallback;
    double number = json_is_number(value) ? json_number_value(value) : NAN;
    if (number >= min && number <= max) return number;
    fail(r, key, value, "a number from %g to %g", min, max);
    return fallback;
}

bool config_bool(struct config_reader *r, const char *key, bool fallback) {
    const json_t *value = value_of(r, key);
    if (!value) return fallback && !config_is_null(r, key);
    if (!json_is_boolean(value)) fail(r, key, value, "true or false");
    return json_is_true(value);
}

const char *config_text(struct config_reader *r, const char *key, const char *fallback) {
    const json_t *value = value_of(r, key);
    if (!value) return fallback;
    if (json_is_string(value)) return json_string_value(value);
    fail(r, key, value, "a string");
    return fallback;
}

size_t config_size_either(struct config_reader *r, const char *key, const char *other, size_t fallback,
                          size_t min, size_t max) {
    size_t size = config_size(r, key, config_size(r, other, fallback, min, max), min, max);
    if (config_size(r, other, size, min, max) != size)
        config_refuse(r, "%s and %s are the same setting and have different values", key, other);
    return size;
}

size_t config_choice(struct config_reader *r, const char *key, const char *fallback,
                     const char *const *allowed) {
    const char *text = config_text(r, key, fallback);
    char expected[256] = "one of";
    for (size_t i = 0; allowed[i]; i++) {
        if (text && strcmp(text, allowed[i]) == 0) return i;
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s %s", i ? "," : "", allowed[i]);
    }
    fail(r, key, json_object_get(r->root, key), "%s", expected);
    return 0;
}

bool config_object(struct config_reader *r, const char *key, struct config_reader *inner) {
    const json_t *value = value_of(r, key);
    if (value && !json_is_object(value)) fail(r, key, value, "an object");
    if (!json_is_object(value) || config_failed(r)) return false;
    char file[sizeof r->file];
    snprintf(file, sizeof file, "%.60s: %.60s", r->file, key);
    enum status status = config_reader_init(inner, value, file, r->model_type, &r->error);
    inner->key = key;
    return status == STATUS_OK;
}

void config_object_end(struct config_reader *r, struct config_reader *inner) {
    if (config_failed(inner) && !config_failed(r)) r->error = inner->error;
    config_gather_unknown(inner);
    if (inner->unknown_count) {
        char name[CONFIG_UNKNOWN_BYTES_MAX];
        snprintf(name, sizeof name, "%.60s.{%.180s}", inner->key, inner->unknown);
        config_add_unknown(r, name);
    }
    config_reader_deinit(inner);
}

void config_refuse(struct config_reader *r, const char *format, ...) {
    if (config_failed(r)) return;
    char place[256];
    snprintf(place, sizeof place, "%s: %s", r->file, r->model_type);
    va_list args;
    va_start(args, format);
    error_vset(&r->error, STATUS_UNSUPPORTED, place, format, args);
    va_end(args);
}

bool config_is_null(struct config_reader *r, const char *key) {
    return json_is_null(json_object_get(r->root, key));
}

void config_refuse_null(struct config_reader *r, const char *key) {
    if (config_is_null(r, key)) config_refuse(r, "%s=null is not supported", key);
}

void config_demand_bool(struct config_reader *r, const char *key, bool fallback, bool demanded,
                        const char *why) {
    if (config_bool(r, key, fallback) != demanded)
        config_refuse(r, "%s=%s %s", key, demanded ? "false" : "true", why);
}

void config_demand_size(struct config_reader *r, const char *key, size_t demanded) {
    const json_t *value = value_of(r, key);
    if (value && !(json_is_integer(value) && json_integer_value(value) == (json_int_t)demanded))
        fail(r, key, value, "%zu, which is all that this model can have", demanded);
}

void config_know(struct config_reader *r, const char *const *keys) {
    for (; keys && *keys; keys++) remember(r, *keys);
}

void config_know_value(struct config_reader *r, const char *key, const char *value) {
    const json_t *found = json_object_get(r->root, key);
    char *text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (found && !text && !config_failed(r)) error_set(&r->error, STATUS_NO_MEMORY, r->file, "out of memory");
    if (text && strcmp(text, value) == 0) remember(r, key);
    free(text);
}

void config_add_unknown(struct config_reader *r, const char *name) {
    name_list_add(r->unknown, sizeof r->unknown, name);
    r->unknown_count++;
}

void config_gather_unknown(struct config_reader *r) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)r->root, key, value) {
        char name[64];
        if (json_is_null(value) || json_object_get(r->known, key)) continue;
        snprintf(name, sizeof name, "%.60s", key);
        config_add_unknown(r, name);
    }
}
