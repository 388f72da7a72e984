/* Nemotron 3, 4 and Minitron (Parmar et al. 2024): sequential, LayerNorm1P (gains are stored minus 1),
 * partial rotary positions, grouped queries, squared ReLU. */
#include "engine/model/families.h"

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "embed_tokens", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "norm", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.input_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_MLP_NORM, "layers.%zu.post_attention_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_QUERY, "layers.%zu.self_attn.q_proj", BIAS_NONE, false},
    {WEIGHT_KEY, "layers.%zu.self_attn.k_proj", BIAS_NONE, false},
    {WEIGHT_VALUE, "layers.%zu.self_attn.v_proj", BIAS_NONE, false},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.self_attn.o_proj", BIAS_NONE, false},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.up_proj", BIAS_NONE, false},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.down_proj", BIAS_NONE, false},
    NAMES_END,
};

static const char *const buffers[] = {ROTARY_BUFFERS, NULL};

static const struct rotary_keys rotary = {
    .theta = "rope_theta",
    .theta_default = 10000,
    .fraction = "partial_rotary_factor",
    .fraction_default = 0.5,
    .rounds_up = true,
};

static void describe(struct config_reader *config, struct model_description *d) {
    static const enum weight attention[] = {WEIGHT_QUERY, WEIGHT_KEY, WEIGHT_VALUE, WEIGHT_ATTENTION_OUT,
                                            WEIGHT_COUNT};
    static const enum weight mlp[] = {WEIGHT_MLP_UP, WEIGHT_MLP_DOWN, WEIGHT_COUNT};
    d->vocabulary = config_size(config, "vocab_size", 256000, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_position_embeddings", 4096, 1, MODEL_CONTEXT_MAX);
    d->width = config_size(config, "hidden_size", 6144, 2, MODEL_WIDTH_MAX);
    d->layers = config_size(config, "num_hidden_layers", 32, 1, MODEL_LAYERS_MAX);
    d->heads = config_size(config, "num_attention_heads", 48, 1, MODEL_HEADS_MAX);
    d->kv_heads = config_size(config, "num_key_value_heads", d->heads, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim_free(config, "num_attention_heads", d);
    d->mlp_width = config_size(config, "intermediate_size", 24576, 1, MODEL_MLP_WIDTH_MAX);
    d->norm_eps = d->final_norm_eps = config_real(config, "norm_eps", 1e-5, 0, 1);
    d->norm_gain_offset = 1;
    config_activation(config, "hidden_act", "relu2", d);
    config_rotary(config, &rotary, d);
    if (config_has(config, "rope_scaling") && d->rotary.scaling != ROTARY_SCALING_NONE)
        config_refuse(
            config, "rope_scaling is ignored by the library up to 4.x and honoured from 5.0: expected it in "
                    "rope_parameters, or not at all");
    d->tied = config_bool(config, "tie_word_embeddings", false);
    config_biases(d, config_bool(config, "attention_bias", false), attention);
    config_biases(d, config_bool(config, "mlp_bias", false), mlp);
    config_default_tokens(d, 2, 3, -1);
    config_layers_init(config, d);
}

const struct family family_nemotron = {
    .model_type = "nemotron",
    .names = names,
    .prefix = "model.",
    .buffers = buffers,
    .describe = describe,
};
