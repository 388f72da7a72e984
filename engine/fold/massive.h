/* MLPs with massive activations (Sun et al. 2024, arXiv 2402.17762): a few hidden units that are thousands of times the
 * others at a few tokens, which a model keeps to have something to attend to. Rounding such a row to 8 bits drowns its other
 * units and what the stream gets at these tokens, which every later one attends to. */
#pragma once

#include "engine/base/workers.h"
#include "engine/fold/folded_model.h"

/* Sets mlp.massive of the layers of such MLPs, of (layers + 7) / 8 at most, those that stand out most. Only the weights are
 * read, about a quarter of what gated MLPs read their input with. A unit can only be massive by what it is multiplied from: of
 * |row of gate| |row of up| the largest is then far beyond the root mean square of all units. MLPs that are not gated do not
 * show it, and are left alone. The same on any machine and for any number of workers. */
void folded_model_find_massive(struct folded_model *c, struct workers *workers);

/* As many as may be found, the first layers, without a weight being read: to plan memory at most. */
void folded_model_assume_massive(struct folded_model *c);
