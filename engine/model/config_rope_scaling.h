/* The scaling of rotary positions in config.json: {rope_type, factor, ...}, as rope_scaling or within
 * rope_parameters. */
#pragma once

#include "engine/model/config_rotary.h"

/* Fills in the kind of scaling and its settings; base and rotated dimensions are known already. r is the reader
 * around the dictionary, context the model's. Kinds that the family is not checked with are refused by name. */
void config_rope_scaling(struct config_reader *r, struct config_reader *scaling,
                         const struct rotary_keys *keys, size_t context, struct rotary *rotary);
