/* The tensors that a block can have, under one set of names; a family's table says what they are called on
 * disk. */
#pragma once

#include <stdint.h>

/* slot, is it in every layer */
#define WEIGHT_LIST(X)                                                                                       \
    X(EMBEDDING, false)                                                                                      \
    X(POSITION, false)                                                                                       \
    X(EMBEDDING_NORM, false)                                                                                 \
    X(PROJECT_IN, false)                                                                                     \
    X(PROJECT_OUT, false)                                                                                    \
    X(FINAL_NORM, false)                                                                                     \
    X(HEAD, false)                                                                                           \
    X(ATTENTION_NORM, true)                                                                                  \
    X(MLP_NORM, true)                                                                                        \
    X(QKV, true) /* fused in any packing; else the next three */                                             \
    X(QUERY, true)                                                                                           \
    X(KEY, true)                                                                                             \
    X(VALUE, true)                                                                                           \
    X(ATTENTION_OUT, true)                                                                                   \
    X(QUERY_NORM, true)                                                                                      \
    X(KEY_NORM, true)                                                                                        \
    X(MLP_GATE_UP, true) /* fused; else the next two */                                                      \
    X(MLP_GATE, true)                                                                                        \
    X(MLP_UP, true)                                                                                          \
    X(MLP_DOWN, true)                                                                                        \
    X(ATTENTION_INNER_NORM, true)                                                                            \
    X(MLP_INNER_NORM, true)                                                                                  \
    X(ATTENTION_POST_NORM, true)                                                                             \
    X(MLP_POST_NORM, true)                                                                                   \
    X(HEAD_SCALE, true)                                                                                      \
    X(RESIDUAL_SCALE, true)                                                                                  \
    X(GATE, true) /* GPAS */

enum weight {
#define X(name, per_layer) WEIGHT_##name,
    WEIGHT_LIST(X)
#undef X
        WEIGHT_COUNT
};

/* Sets of weights. */
#define WEIGHT_BIT(name) (UINT32_C(1) << WEIGHT_##name)
_Static_assert(WEIGHT_COUNT <= 32, "a set of weights is a uint32_t");

/* Whether a weight has a bias. An adapter's table has the family's habit; its describe() may overrule it from
 * the config (model_description.bias). A bias that is there although the config rules it out is an error, as
 * any unknown tensor is. */
enum weight_bias { BIAS_NONE, BIAS_OPTIONAL, BIAS_REQUIRED, BIAS_LAST_LAYER /* required there, else none */ };
