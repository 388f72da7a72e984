/* Rotary settings in both spellings of config.json: loose keys and rope_scaling {type or rope_type, factor}
 * (transformers up to 4.x), or one dictionary rope_parameters {rope_type, rope_theta, partial_rotary_factor,
 * factor} (from 5.0). */
#pragma once

#include "engine/model/config_reader.h"
#include "engine/model/description.h"

struct rotary_keys {
    const char *theta;                  /* the loose key of the base */
    double theta_default;               /* without the key */
    double theta_default_of_parameters; /* where rope_parameters has no rope_theta; 0: the same */
    const char *fraction; /* the loose key of the rotated part of a head; NULL: whole heads, anything else is
                             refused */
    double fraction_default;
    bool rounds_up; /* an odd number of rotated dimensions becomes even, with the frequencies of the odd one;
                       else it is refused */
};

/* Fills d->rotary and sets d->position; d->head_dim and d->context are set already. Kinds default, linear and
 * dynamic; others are refused by name. Dynamic scaling multiplies d->context by its factor. */
void config_rotary(struct config_reader *r, const struct rotary_keys *keys, struct model_description *d);
