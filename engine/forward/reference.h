/* The reference: a forward pass in double precision, written as simply as possible, over one whole sequence.
 * It has no cache, no batching, no packing and none of the kernels, and shares only the description and the
 * folded weights with the fast path. In the LayerNorm form it is the original model; in the other forms it
 * shows what folding alone changes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/fold/folded_model.h"

/* logits [count, vocabulary] of the sequence ids [count]; ids are below the vocabulary, count within the
 * context. The weights are folded layer by layer as the pass goes (8 bytes a parameter, one layer at a
 * time). */
enum status reference_logits(struct folded_model *c, const int32_t *ids, size_t count, double *logits,
                             struct error *e);
