/* Rotary settings in both spellings of config.json: loose keys and rope_scaling {type or rope_type, factor, ...}
 * (transformers up to 4.x), or one dictionary rope_parameters {rope_type, rope_theta, partial_rotary_factor,
 * factor, ...} (from 5.0), which for models with two bases is one for each kind of layer. */
#pragma once

#include "engine/model/config_reader.h"
#include "engine/model/description.h"

/* The kinds of scaling, beside "default", that a family is checked with. */
enum rotary_kinds {
    ROTARY_KINDS_OLD,      /* linear, dynamic */
    ROTARY_KINDS_ALL,      /* and llama3, yarn */
    ROTARY_KINDS_LONGROPE, /* longrope alone, which "su" and "yarn" are older names of (Phi-3) */
};

struct rotary_keys {
    const char *theta;                  /* the loose key of the base */
    double theta_default;               /* without the key */
    double theta_default_of_parameters; /* where rope_parameters has no rope_theta; 0: the same */
    /* The loose key of the rotated part of a head; NULL: whole heads, anything else is refused. */
    const char *fraction;
    double fraction_default;
    enum rotary_kinds kinds;
    /* The loose key of the base of windowed layers, which are not scaled unless rope_parameters says so; NULL: one
     * base for all. */
    const char *local_theta;
    double local_theta_default;
    size_t scaling_context; /* longrope: without original_max_position_embeddings */
    /* An odd number of rotated dimensions becomes even, with the frequencies of the odd one; else it is refused. */
    bool rounds_up;
};

/* Fills d->rotary (and d->local_rotary where there is a second base) and sets d->position; d->head_dim and
 * d->context are set already. Kinds that the family is not checked with are refused by name. Dynamic scaling
 * multiplies d->context by its factor; yarn raises it to its factor times the context of the training. */
void config_rotary(struct config_reader *r, const struct rotary_keys *keys, struct model_description *d);
