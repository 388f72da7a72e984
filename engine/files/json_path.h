/* Fields of a parsed file, with the place of each for messages: "pre_tokenizer.pretokenizers[1].type". A
 * place is a chain on the caller's stack; reading a field never allocates. Absent and null fields take the
 * default. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct json_path {
    const struct json_path *parent;
    const char *name; /* the file's name at the top, else a key; NULL: index counts */
    size_t index;
    const json_t *value;
};

static inline struct json_path json_path_top(const char *file, const json_t *value) {
    return (struct json_path){.name = file, .value = value};
}
/* The member of an object (value NULL if absent or null), and the element of an array. */
struct json_path json_path_member(const struct json_path *parent, const char *key);
struct json_path json_path_element(const struct json_path *parent, size_t index);

/* "<where>: <path>: text"; returns code. */
enum status json_path_error(const struct json_path *path, enum status code, struct error *e,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

enum status json_path_bool(const struct json_path *parent, const char *key, bool fallback, bool *out,
                           struct error *e);
/* An integer from 0 to max. */
enum status json_path_count(const struct json_path *parent, const char *key, int64_t fallback, int64_t max,
                            int64_t *out, struct error *e);
/* A string; *out is borrowed from the file. fallback NULL: it must be there. Only where the length is asked for may
 * it have U+0000 in it. */
enum status json_path_string(const struct json_path *parent, const char *key, const char *fallback,
                             const char **out, size_t *length, struct error *e);
/* An array that must be there; its number of elements. */
enum status json_path_array(const struct json_path *path, size_t *count, struct error *e);
/* "type" of an object, which must be there. */
enum status json_path_type(const struct json_path *object, const char **type, struct error *e);
/* MALFORMED unless the place is an object. */
enum status json_path_object(const struct json_path *path, struct error *e);
