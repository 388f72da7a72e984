/* Attention with linear biases (Press et al. 2022), in the variants of the families. */
#pragma once

#include "engine/model/description.h"

/* What is added to the score of a key for a query at `query`, in double; scores are already scaled. A common
 * amount for all keys of a query is left out: softmax does not see it. */
double alibi_bias(const struct model_description *d, size_t head, size_t key, size_t query,
                  double attention_scale);

/* Whether the bias depends on the distance alone (Falcon rounds absolute positions to bfloat16: there it does
 * not). */
bool alibi_is_relative(const struct model_description *d);
