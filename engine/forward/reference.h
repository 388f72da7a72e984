/* The oracle: a forward pass in double precision, as plain as can be, over one whole sequence at once. No cache, no
 * batching, no packing, none of the kernels; it shares only the description and the converted weights with the fast path.
 * Run on the LayerNorm form it is the untouched model; run on the others it shows what the conversion alone changes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/convert/converted.h"

struct reference;

/* Reads all weights of the converted model as doubles (8 bytes a parameter). Borrows c until reference_destroy. */
enum status reference_create(struct converted_model *c, struct reference **out, struct error *e);
void reference_destroy(struct reference *r);

/* logits [count, vocabulary] of the sequence ids [count]; ids are below the vocabulary, count within the context. */
enum status reference_logits(const struct reference *r, const int32_t *ids, size_t count, double *logits, struct error *e);
