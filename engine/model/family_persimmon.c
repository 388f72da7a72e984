/* Persimmon (Adept 2023): sequential, partial rotary positions, LayerNorm of every head's query and key. */
#include "engine/model/families.h"

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "embed_tokens", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "final_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.input_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_MLP_NORM, "layers.%zu.post_attention_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_QKV, "layers.%zu.self_attn.query_key_value", BIAS_REQUIRED, false},
    {WEIGHT_QUERY_NORM, "layers.%zu.self_attn.q_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_KEY_NORM, "layers.%zu.self_attn.k_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.self_attn.dense", BIAS_REQUIRED, false},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.dense_h_to_4h", BIAS_REQUIRED, false},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.dense_4h_to_h", BIAS_REQUIRED, false},
    NAMES_END,
};

static const char *const buffers[] = {ROTARY_BUFFERS, NULL};

static const struct rotary_keys rotary = {
    .theta = "rope_theta",
    .theta_default = 25000,
    .theta_default_of_parameters = 10000,
    .fraction = "partial_rotary_factor",
    .fraction_default = 0.5,
};

static void describe(struct config_reader *config, struct model_description *d) {
    d->vocabulary = config_size(config, "vocab_size", 262144, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_position_embeddings", 16384, 1, MODEL_CONTEXT_MAX);
    d->width = config_size(config, "hidden_size", 4096, 2, MODEL_WIDTH_MAX);
    d->layers = config_size(config, "num_hidden_layers", 36, 1, MODEL_LAYERS_MAX);
    d->heads = d->kv_heads = config_size(config, "num_attention_heads", 64, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "num_attention_heads", d->width, d->heads);
    config_demand_size(config, "head_dim", d->head_dim);
    config_demand_size(config, "num_key_value_heads", d->heads);
    d->mlp_width = config_size(config, "intermediate_size", 16384, 1, MODEL_MLP_WIDTH_MAX);
    d->norm_eps = d->final_norm_eps = d->qk_norm_eps = config_real(config, "layer_norm_eps", 1e-5, 0, 1);
    config_activation(config, "hidden_act", "relu2", d);
    config_rotary(config, &rotary, d);
    d->qkv_packing = QKV_PER_HEAD;
    d->qk_norm = config_bool(config, "qk_layernorm", true) ? QK_NORM_SHARED : QK_NORM_NONE;
    d->tied = config_bool(config, "tie_word_embeddings", false);
    config_default_tokens(d, 1, 2, -1);
    config_layers_init(config, d);
}

const struct family family_persimmon = {
    .model_type = "persimmon",
    .names = names,
    .prefix = "model.",
    .buffers = buffers,
    .describe = describe,
};
