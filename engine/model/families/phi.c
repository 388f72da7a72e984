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
    .prefix = "model.",
    .names = {names, names_llama},
    .biases = WEIGHTS_NORMS | WEIGHTS_QK_NORMS | WEIGHTS_LINEARS | WEIGHT_BIT(HEAD),
    .buffers = TEXTS(ROTARY_BUFFERS),
    .keys = &keys_llama,
    .sizes = {.vocabulary = 51200, .context = 2048, .width = 2048, .layers = 24, .heads = 32},
    .kv_heads = {"num_key_value_heads", 0},
    .mlp_width = {"intermediate_size", 8192},
    .head_dim = HEAD_DIM_FREE,
    .norm_eps = {"layer_norm_eps", 1e-5},
    .activation = {"hidden_act", "gelu_new"},
    .rotary = {.theta = "rope_theta",
               .theta_default = 10000,
               .fraction = "partial_rotary_factor",
               .fraction_default = 0.5},
    .tokens = {1, 2, -1},
    .describe = describe,
};
