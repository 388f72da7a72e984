/* Fields of a parsed file, with the place of each for messages: "pre_tokenizer.pretokenizers[1].type". A
 * place is a chain on the caller's stack; reading a field never allocates. Absent and null fields take the
 * default. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct json_place {
    const struct json_place *parent;
    const char *name; /* the file's name at the top, else a key; NULL: index counts */
    size_t index;
    const json_t *value;
};

static inline struct json_place json_place_top(const char *file, const json_t *value) {
    return (struct json_place){.name = file, .value = value};
}
/* The member of an object (value NULL if absent or null), and the element of an array. */
struct json_place json_place_member(const struct json_place *parent, const char *key);
struct json_place json_place_element(const struct json_place *parent, size_t index);

/* "<where>: <path>: text"; returns code. */
enum status json_place_error(const struct json_place *place, enum status code, struct error *e,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));

enum status json_place_bool(const struct json_place *parent, const char *key, bool otherwise, bool *out,
                            struct error *e);
/* An integer from 0 to max. */
enum status json_place_count(const struct json_place *parent, const char *key, int64_t otherwise, int64_t max,
                             int64_t *out, struct error *e);
/* A string; *out is borrowed from the file. otherwise NULL: it must be there. */
enum status json_place_string(const struct json_place *parent, const char *key, const char *otherwise,
                              const char **out, size_t *length, struct error *e);
/* An array that must be there; its number of elements. */
enum status json_place_array(const struct json_place *place, size_t *count, struct error *e);
/* "type" of an object, which must be there. */
enum status json_place_type(const struct json_place *object, const char **type, struct error *e);
/* MALFORMED unless the place is an object. */
enum status json_place_object(const struct json_place *place, struct error *e);
