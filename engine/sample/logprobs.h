/* Log probabilities of the raw model distribution: over all rows of the head (padding rows too, as
 * transformers has it), before temperature, penalties and masks. A function of the row alone. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/kernel/kernel.h"
#include "engine/sample/selection.h"

/* False when a logit is NaN or +infinity: there is no distribution then. */
bool logprobs_row_is_sound(const float *row, size_t rows);

/* log sum exp of a sound row; -infinity when every logit is. */
double logprobs_normaliser(const struct kernel_table *kernels, const float *row, size_t rows);

/* The one expression by which every log probability is made, so that a token has the same float everywhere. */
static inline float logprobs_of(float logit, double normaliser) {
    return (float)((double)logit - normaliser);
}

/* The place of an id among row[0 .. sampleable-1], 1 for the largest, ties to the lower id: where it would
 * stand in the list of logprobs_best. Ids beyond `sampleable` count behind all that are as large. */
uint32_t logprobs_rank(const float *row, size_t sampleable, int32_t id);

/* The `wanted` most probable ids of row[0 .. sampleable-1] with their log probabilities, best first, ties to
 * the lower id. Ids whose logit is -infinity are left out: ids without a token are marked so
 * (sampler_mask_unused_ids). out has room for min(wanted, sampleable). Returns how many there are. */
size_t logprobs_best(const float *row, size_t sampleable, size_t wanted, double normaliser,
                     struct candidate *out);
