#include "engine/model/config_reader.h"

#include "engine/model/description.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum status config_reader_init(struct config_reader *r, const json_t *root, const char *file, const char *model_type,
                               struct error *e) {
    *r = (struct config_reader){.root = root, .file = file, .model_type = model_type, .asked = json_object()};
    r->error.code = STATUS_OK;
    if (!r->asked) return error_set(e, STATUS_NO_MEMORY, file, "out of memory");
    return STATUS_OK;
}

void config_reader_deinit(struct config_reader *r) {
    json_decref(r->asked);
    r->asked = NULL;
}

/* The value of a key, NULL when absent or null; remembers that it was asked for. */
static const json_t *value_of(struct config_reader *r, const char *key) {
    json_object_set_new(r->asked, key, json_true());
    const json_t *value = json_object_get(r->root, key);
    return json_is_null(value) ? NULL : value;
}

static void fail(struct config_reader *r, const char *key, const json_t *found, const char *expected) {
    if (config_failed(r)) return;
    char *text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    char place[256];
    snprintf(place, sizeof place, "%s: %s", r->file, key);
    if (found) error_set(&r->error, STATUS_MALFORMED, place, "found %.100s, expected %s", text ? text : "?", expected);
    else error_set(&r->error, STATUS_MALFORMED, place, "is missing; expected %s", expected);
    free(text);
}

bool config_has(struct config_reader *r, const char *key) { return value_of(r, key) != NULL; }

const json_t *config_value(struct config_reader *r, const char *key) { return value_of(r, key); }

static size_t read_size(struct config_reader *r, const char *key, const json_t *value, size_t fallback, size_t min,
                        size_t max) {
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    if (number >= 0 && (size_t)number >= min && (size_t)number <= max) return (size_t)number;
    char expected[96];
    snprintf(expected, sizeof expected, "an integer from %zu to %zu", min, max);
    fail(r, key, value, expected);
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
    char expected[96];
    snprintf(expected, sizeof expected, "a number from %g to %g", min, max);
    fail(r, key, value, expected);
    return fallback;
}

bool config_bool(struct config_reader *r, const char *key, bool fallback) {
    const json_t *value = value_of(r, key);
    if (!value) return fallback;
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

const char *config_either(struct config_reader *r, const char *key, const char *other) {
    bool first = config_has(r, key);
    bool second = config_has(r, other);
    return !first && second ? other : key;
}

size_t config_choice(struct config_reader *r, const char *key, const char *fallback, const char *const *allowed) {
    const char *text = config_text(r, key, fallback);
    char expected[256] = "one of";
    for (size_t i = 0; allowed[i]; i++) {
        if (text && strcmp(text, allowed[i]) == 0) return i;
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s %s", i ? "," : "", allowed[i]);
    }
    fail(r, key, json_object_get(r->root, key), expected);
    return 0;
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

void config_demand_bool(struct config_reader *r, const char *key, bool fallback, bool demanded, const char *why) {
    if (config_bool(r, key, fallback) != demanded)
        config_refuse(r, "%s=%s %s", key, demanded ? "false" : "true", why);
}

void config_know(struct config_reader *r, const char *const *keys) {
    for (; keys && *keys; keys++) json_object_set_new(r->asked, *keys, json_true());
}

void config_each_unknown(const struct config_reader *r, void (*each)(void *context, const char *key), void *context) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)r->root, key, value) {
        if (!json_object_get(r->asked, key)) each(context, key);
    }
}

void config_activation(struct config_reader *r, const char *key, const char *fallback, struct model_description *d) {
    const char *name = config_text(r, key, fallback);
    if (!activation_from_name(name, &d->activation)) config_refuse(r, "%s=\"%.40s\" is not supported", key, name);
}

size_t config_head_dim(struct config_reader *r, const char *heads_key, size_t width, size_t heads) {
    if (width % heads) config_refuse(r, "%s=%zu does not divide the width %zu", heads_key, heads, width);
    return width / heads;
}

bool config_layers_init(struct config_reader *r, struct model_description *d) {
    if (config_failed(r)) return false;
    return description_layers_init(d, &r->error) == STATUS_OK;
}
