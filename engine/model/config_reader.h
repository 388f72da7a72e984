/* Typed, bounded reading of a config.json. The first error is kept and later calls return their defaults, so
 * that an adapter reads key after key and the caller checks once. The reader keeps the set of keys that were read;
 * the others are gathered, and config_unknown.h decides what becomes of them. */
#pragma once

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/types/limits.h"

struct config_reader {
    const json_t *root;
    char file[128];  /* for messages; of an inner object with its key behind: "config.json: rope_scaling" */
    const char *key; /* of an inner object; else NULL */
    const char *model_type;
    json_t *known;                          /* set of keys: read, or marked */
    char unknown[CONFIG_UNKNOWN_BYTES_MAX]; /* gathered so far: "a, rope_scaling.{b}" */
    size_t unknown_count;
    struct error error;
};

enum status config_reader_init(struct config_reader *r, const json_t *root, const char *file,
                               const char *model_type, struct error *e);
void config_reader_deinit(struct config_reader *r);

/* Whether an error is stuck. */
static inline bool config_failed(const struct config_reader *r) {
    return r->error.code != STATUS_OK;
}

/* Whether the key is there and not null. */
bool config_has(struct config_reader *r, const char *key);

/* An absent or null key gives fallback, but a bool that is null is false, as Python takes it. config_size_required
 * refuses absence. */
size_t config_size(struct config_reader *r, const char *key, size_t fallback, size_t min, size_t max);
size_t config_size_required(struct config_reader *r, const char *key, size_t min, size_t max);
double config_real(struct config_reader *r, const char *key, double fallback, double min, double max);
bool config_bool(struct config_reader *r, const char *key, bool fallback);
const char *config_text(struct config_reader *r, const char *key, const char *fallback);

/* Of two spellings: the one that is there. Both with different values are refused. */
size_t config_size_either(struct config_reader *r, const char *key, const char *other, size_t fallback,
                          size_t min, size_t max);

/* Index of a text in a NULL-terminated list; anything else is an error that lists what is allowed. */
size_t config_choice(struct config_reader *r, const char *key, const char *fallback,
                     const char *const *allowed);

/* The value of any type; NULL when absent. */
const json_t *config_value(struct config_reader *r, const char *key);

/* A reader of the object inside; false when it is absent or not an object (an error), and then there is
 * nothing to end. Ending it gathers its unknown keys in r, as "rope_scaling.{a, b}", and hands its error to r. */
bool config_object(struct config_reader *r, const char *key, struct config_reader *inner);
void config_object_end(struct config_reader *r, struct config_reader *inner);

/* Refuses the model: "<model_type>: <text>". */
void config_refuse(struct config_reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether the key is there with the value null, where that is not the same as absence. */
bool config_is_null(struct config_reader *r, const char *key);

/* Refuses a key that is there with the value null, where that is not the same as absence. */
void config_refuse_null(struct config_reader *r, const char *key);

/* Refuses unless the flag has this value (absent: fallback). why completes "opt: do_layer_norm_before=false
 * ...". */
void config_demand_bool(struct config_reader *r, const char *key, bool fallback, bool demanded,
                        const char *why);

/* Refuses any other size than the one that follows from the rest (absent: nothing to refuse). */
void config_demand_size(struct config_reader *r, const char *key, size_t demanded);

/* Marks keys as known without reading them (NULL-terminated). */
void config_know(struct config_reader *r, const char *const *keys);

/* Marks a key as known if it has this value, given as compact JSON ("false"). */
void config_know_value(struct config_reader *r, const char *key, const char *value);

/* Adds a name to the unknown ones. */
void config_add_unknown(struct config_reader *r, const char *name);

/* Adds every key that has a value and was neither read nor marked as known. */
void config_gather_unknown(struct config_reader *r);
