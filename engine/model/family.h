/* A family is a small adapter: what config.json means for the description, and what the tensors are called.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/model/config_reader.h"
#include "engine/model/description.h"
#include "engine/model/weights.h"

/* name has one %zu when the weight is in every layer ("h.%zu.ln_1"); ".weight" and ".bias" follow, unless
 * bare. A qk-norm that is stored as one tensor a head has two (layer, head). A second, bare row of the same
 * weight right after the first names its bias, where that is not the first name and ".bias". */
struct weight_name {
    enum weight weight;
    const char *name;
    enum weight_bias bias;
    bool bare; /* the name is the tensor's whole name (no .weight) */
};

struct family {
    const char *model_type;
    const struct weight_name
        *names;         /* ends with a NULL name; describe() may choose another table (d->names) */
    const char *prefix; /* the tensors may or may not carry it ("transformer."); "" when there is none */
    const char *const
        *buffers; /* tensors to skip: a name ends with one of these; NULL-terminated, may be NULL */
    const char *const
        *ignored_keys; /* keys of config.json that do not change the result; NULL-terminated, may be NULL */
    /* Fills the description (already at its defaults, d->bias from the table of names). Errors stay in the
     * reader. */
    void (*describe)(struct config_reader *config, struct model_description *d);
};

/* Ends a table of names. */
#define NAMES_END                                                                                            \
    { 0, NULL, 0, false }

/* The adapter of a model_type; NULL with *e set (by name, with the reason) when it is refused or unknown. */
const struct family *family_find(const char *model_type, struct error *e);

/* All adapters, NULL-terminated. */
extern const struct family *const family_list[];
