/* The quiet channels of a rotated stream (engine/fold/quiet.h) as a forward pass needs them. */
#pragma once

#include "engine/fold/folded_model.h"
#include "engine/kernel/kernel.h"

struct quiet_directions {
    struct row_directions directions; /* of c->quiet, in its order */
    size_t *first;                    /* [count]: owned */
    float *entries;                   /* [count][columns]: owned */
};

/* count 0 where no channel is quiet. STATUS_NO_MEMORY, with what is to be freed. */
enum status quiet_directions_init(struct quiet_directions *d, const struct folded_model *c, struct error *e);
void quiet_directions_deinit(struct quiet_directions *d);

/* Of a norm: to[i] is the factor of c->quiet[i], less 1. to: [quiet_count] or NULL. */
void quiet_factors_set(const struct folded_model *c, const struct folded_norm *norm, float *to);
