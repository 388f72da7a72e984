/* Phi 1, 1.5 and 2 (Gunasekar et al. 2023): parallel with one norm, partial rotary positions, biases
 * everywhere. */
#include "engine/model/families.h"

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "embed_tokens", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "final_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "lm_head", BIAS_REQUIRED, false},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.input_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_QUERY, "layers.%zu.self_attn.q_proj", BIAS_REQUIRED, false},
    {WEIGHT_KEY, "layers.%zu.self_attn.k_proj", BIAS_REQUIRED, false},
    {WEIGHT_VALUE, "layers.%zu.self_attn.v_proj", BIAS_REQUIRED, false},
    {WEIGHT_QUERY_NORM, "layers.%zu.self_attn.q_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_KEY_NORM, "layers.%zu.self_attn.k_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.self_attn.dense", BIAS_REQUIRED, false},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.fc1", BIAS_REQUIRED, false},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.fc2", BIAS_REQUIRED, false},
    NAMES_END,
};

static const char *const buffers[] = {ROTARY_BUFFERS, NULL};

static const struct rotary_keys rotary = {
    .theta = "rope_theta",
    .theta_default = 10000,
    .fraction = "partial_rotary_factor",
    .fraction_default = 0.5,
};

static void describe(struct config_reader *config, struct model_description *d) {
    d->vocabulary = config_size(config, "vocab_size", 51200, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_position_embeddings", 2048, 1, MODEL_CONTEXT_MAX);
    d->width = config_size(config, "hidden_size", 2048, 2, MODEL_WIDTH_MAX);
    d->layers = config_size(config, "num_hidden_layers", 24, 1, MODEL_LAYERS_MAX);
    d->heads = config_size(config, "num_attention_heads", 32, 1, MODEL_HEADS_MAX);
    d->kv_heads = config_size(config, "num_key_value_heads", d->heads, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim_free(config, "num_attention_heads", d);
    d->mlp_width = config_size(config, "intermediate_size", 8192, 1, MODEL_MLP_WIDTH_MAX);
    d->norm_eps = d->final_norm_eps = d->qk_norm_eps = config_real(config, "layer_norm_eps", 1e-5, 0, 1);
    config_activation(config, "hidden_act", "gelu_new", d);
    config_rotary(config, &rotary, d);
    d->residual = RESIDUAL_PARALLEL_ONE_NORM;
    d->qk_norm = config_bool(config, "qk_layernorm", false) ? QK_NORM_SHARED : QK_NORM_NONE;
    d->tied = config_bool(config, "tie_word_embeddings", false);
    config_default_tokens(d, 1, 2, -1);
    config_layers_init(config, d);
}

const struct family family_phi = {
    .model_type = "phi",
    .names = names,
    .prefix = "model.",
    .buffers = buffers,
    .describe = describe,
};
