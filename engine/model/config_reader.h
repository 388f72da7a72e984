/* Typed, bounded reading of a config.json. The first error sticks (later calls return their defaults), so that an adapter
 * reads straight down and the caller checks once. Keys that were never asked for are known afterwards. */
#pragma once

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

struct config_reader {
    const json_t *root;
    const char *file; /* for messages */
    const char *model_type;
    json_t *asked; /* set of keys */
    struct error error;
};

enum status config_reader_init(struct config_reader *r, const json_t *root, const char *file, const char *model_type,
                               struct error *e);
void config_reader_deinit(struct config_reader *r);

/* Whether an error is stuck. */
static inline bool config_failed(const struct config_reader *r) { return r->error.code != STATUS_OK; }

/* Whether the key is there and not null. */
bool config_has(struct config_reader *r, const char *key);

/* An absent or null key gives fallback. config_size_required refuses absence. */
size_t config_size(struct config_reader *r, const char *key, size_t fallback, size_t min, size_t max);
size_t config_size_required(struct config_reader *r, const char *key, size_t min, size_t max);
double config_real(struct config_reader *r, const char *key, double fallback, double min, double max);
bool config_bool(struct config_reader *r, const char *key, bool fallback);
const char *config_text(struct config_reader *r, const char *key, const char *fallback);

/* The first of two spellings that is there. */
const char *config_either(struct config_reader *r, const char *key, const char *other);

/* Index of a text in a NULL-terminated list; anything else is an error that lists what is allowed. */
size_t config_choice(struct config_reader *r, const char *key, const char *fallback, const char *const *allowed);

/* An object or array; NULL when absent. */
const json_t *config_value(struct config_reader *r, const char *key);

/* Refuses the model: "<model_type>: <text>". */
void config_refuse(struct config_reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Refuses unless the flag has this value (absent: fallback). why completes "opt: do_layer_norm_before=false ...". */
void config_demand_bool(struct config_reader *r, const char *key, bool fallback, bool demanded, const char *why);

/* Marks keys as known without reading them (NULL-terminated). */
void config_know(struct config_reader *r, const char *const *keys);

/* Calls each for every key that was neither asked for nor known. */
void config_each_unknown(const struct config_reader *r, void (*each)(void *context, const char *key), void *context);

struct model_description;

/* Reads the activation's name into d->activation; an unknown one is refused by name. */
void config_activation(struct config_reader *r, const char *key, const char *fallback, struct model_description *d);

/* width / heads, or a refusal that names the key of the heads when they do not divide. */
size_t config_head_dim(struct config_reader *r, const char *heads_key, size_t width, size_t heads);

/* Allocates d->layer (description_layers_init). False when an error is stuck. */
bool config_layers_init(struct config_reader *r, struct model_description *d);
