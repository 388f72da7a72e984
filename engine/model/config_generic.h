/* What any config.json may hold, whatever the family. */
#pragma once

#include "engine/model/config_reader.h"

/* Refuses what no family is served with: quantised weights, encoders, mixtures of experts, pruned heads. */
void config_refuse_generic(struct config_reader *r);

/* Marks as known the keys that say nothing about the mathematics of a forward pass. */
void config_know_generic(struct config_reader *r);
