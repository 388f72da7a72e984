/* The oracle: a forward pass in double precision, as plain as can be, over one whole sequence at once. No
 * cache, no batching, no packing, none of the kernels; it shares only the description and the converted
 * weights with the fast path. Run on the LayerNorm form it is the untouched model; run on the others it shows
 * what the conversion alone changes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/convert/converted.h"

/* logits [count, vocabulary] of the sequence ids [count]; ids are below the vocabulary, count within the
 * context. The weights are folded layer by layer as the pass goes (8 bytes a parameter, one layer at a
 * time). */
enum status reference_logits(struct folded_model *c, const int32_t *ids, size_t count, double *logits,
                             struct error *e);
