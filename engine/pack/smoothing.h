/* Smoothing scales: what activations are multiplied by, and columns of weights divided by, before they are quantized. */
#pragma once

#include "engine/fold/folded_model.h"
#include "engine/kernel/kernel.h"

/* Whether activations are divided between channels by smoothing scales before they become integers: at output
 * projections, and at input projections with a folded gain. Not in the paper's basis, where every column
 * contains the dropped one; nor where a rotation has spread all channels. */
bool smoothing_is_used(const struct folded_linear *from, enum weight_type type);

/* smoothing: [in]. Of output projections behind folded_linear_prepare. */
void smoothing_set(const struct folded_linear *from, float *smoothing);
