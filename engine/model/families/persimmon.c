/* Persimmon (Adept 2023): sequential, partial rotary positions, LayerNorm of every head's query and key. */
#include "engine/model/families/conventions.h"

static const struct weight_name names[] = {
    {WEIGHT_FINAL_NORM, "final_layernorm"},
    {WEIGHT_QKV, "layers.%zu.self_attn.query_key_value"},
    {WEIGHT_QUERY_NORM, "layers.%zu.self_attn.q_layernorm"},
    {WEIGHT_KEY_NORM, "layers.%zu.self_attn.k_layernorm"},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.self_attn.dense"},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.dense_h_to_4h"},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.dense_4h_to_h"},
    NAMES_END,
};

static void describe(struct config_reader *config, struct model_description *d) {
    config_demand_size(config, "num_key_value_heads", d->heads);
    d->qkv_packing = QKV_PER_HEAD;
    d->qk_norm = config_bool(config, "qk_layernorm", true) ? QK_NORM_SHARED : QK_NORM_NONE;
}

const struct family family_persimmon = {
    .model_type = "persimmon",
    LIKE_LLAMA_LAYER_NORM,
    .names.own = names,
    .biases = WEIGHTS_NORMS | WEIGHTS_QK_NORMS | WEIGHTS_LINEARS,
    .sizes = {.vocabulary = 262144, .context = 16384, .width = 4096, .layers = 36, .heads = 64},
    .kv_heads.key = NULL,
    .mlp_width.fallback = 16384,
    .head_dim = HEAD_DIM_EQUAL,
    .activation.fallback = "relu2",
    .rotary.theta_default = 25000,
    .rotary.theta_default_of_parameters = 10000,
    .rotary.fraction = "partial_rotary_factor",
    .rotary.fraction_default = 0.5,
    .describe = describe,
};
