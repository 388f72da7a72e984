/* What becomes of the keys of a config.json that nobody reads: a key may change the mathematics, so one that is
 * not known to be harmless (config_generic.h) refuses the model, by name. */
#pragma once

#include "engine/model/config_reader.h"
#include "engine/model/family.h"

/* For the end of reading, once adapter and generic keys are known. `architectures` and `auto_map` are known where
 * they name the family's causal language model, or its body without a head. allowed: unknown keys are told in
 * the log and passed over; r->unknown has their names. A family with strict_keys refuses them nevertheless. */
void config_check_unknown(struct config_reader *r, const struct family *family, bool allowed);
