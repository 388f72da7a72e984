/* Phi 1, 1.5 and 2 (Gunasekar et al. 2023): parallel with one norm, partial rotary positions, biases
 * everywhere. */
#include "engine/model/families/conventions.h"

static const struct weight_name names[] = {
    {WEIGHT_FINAL_NORM, "final_layernorm"},
    {WEIGHT_QUERY_NORM, "layers.%zu.self_attn.q_layernorm"},
    {WEIGHT_KEY_NORM, "layers.%zu.self_attn.k_layernorm"},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.self_attn.dense"},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.fc1"},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.fc2"},
    NAMES_END,
};

static void describe(struct config_reader *config, struct model_description *d) {
    d->residual = RESIDUAL_PARALLEL_ONE_NORM;
    d->qk_norm = config_bool(config, "qk_layernorm", false) ? QK_NORM_SHARED : QK_NORM_NONE;
}

const struct family family_phi = {
    .model_type = "phi",
    LIKE_LLAMA_LAYER_NORM,
    .names.own = names,
    .biases = WEIGHTS_NORMS | WEIGHTS_QK_NORMS | WEIGHTS_LINEARS | WEIGHT_BIT(HEAD),
    .sizes = {.vocabulary = 51200, .context = 2048, .width = 2048, .layers = 24, .heads = 32},
    .mlp_width.fallback = 8192,
    .activation.fallback = "gelu_new",
    .rotary.fraction = "partial_rotary_factor",
    .rotary.fraction_default = 0.5,
    .describe = describe,
};
