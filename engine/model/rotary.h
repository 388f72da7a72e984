/* Rotary frequencies (Su et al. 2021) and their scalings, as transformers computes them: linear, dynamic (NTK),
 * llama3, yarn (Peng et al. 2023) and longrope (Ding et al. 2024). */
#pragma once

#include "engine/model/description.h"

/* What the frequencies of a sequence depend on that may grow to `length` positions: 0 where it is not longer
 * than the training's context, or where nothing depends on it. Sequences with equal values have equal
 * frequencies, and may share the cache. */
size_t rotary_length(const struct model_description *d, size_t length);

/* Radians a position of each pair: frequencies [dimensions / 2]. length: of rotary_length(). */
void rotary_frequencies(const struct rotary *rotary, size_t length, double *frequencies);

/* The rotary positions of a layer, which has some. */
const struct rotary *rotary_of_layer(const struct model_description *d, size_t layer);

void rotary_deinit(struct rotary *rotary);
