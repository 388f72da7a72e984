/* What every family reads from config.json, by the keys and defaults of its adapter. */
#pragma once

#include "engine/model/family.h"

/* Fills in the sizes, epsilons, activation, rotary positions, biases and default tokens that the adapter
 * names. Errors stay in the reader. */
void config_sizes(struct config_reader *r, const struct family *family, struct model_description *d);

/* A bias of each of these weights (WEIGHT_BIT) is required, or must not be there. */
void config_biases(struct model_description *d, bool present, uint32_t weights);

/* The kind of each layer, where a model has layers that see a window and layers that see everything:
 * layer_types (transformers' list of "sliding_attention" and "full_attention") where it is there, else every
 * period-th layer sees everything. window 0: none may be sliding. For describe_layers(). */
void config_layer_windows(struct config_reader *r, struct model_description *d, size_t window, size_t period);
