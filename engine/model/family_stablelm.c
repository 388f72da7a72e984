/* StableLM 3B, 2 1.6B and 2 12B (Stability AI 2023): sequential, or parallel with one norm; partial rotary
 * positions, a gated MLP, and where qk_layernorm says so a norm of its own for each head. */
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
    {WEIGHT_QUERY_NORM, "layers.%zu.self_attn.q_layernorm.norms.%zu", BIAS_NONE, false},
    {WEIGHT_KEY_NORM, "layers.%zu.self_attn.k_layernorm.norms.%zu", BIAS_NONE, false},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.self_attn.o_proj", BIAS_NONE, false},
    {WEIGHT_MLP_GATE, "layers.%zu.mlp.gate_proj", BIAS_NONE, false},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.up_proj", BIAS_NONE, false},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.down_proj", BIAS_NONE, false},
    NAMES_END,
};

static const char *const buffers[] = {ROTARY_BUFFERS, NULL};

static const struct rotary_keys rotary = {
    .theta = "rope_theta",
    .theta_default = 10000,
    .fraction = "partial_rotary_factor",
    .fraction_default = 0.25,
};

static void describe(struct config_reader *config, struct model_description *d) {
    static const enum weight qkv[] = {WEIGHT_QUERY, WEIGHT_KEY, WEIGHT_VALUE, WEIGHT_COUNT};
    d->vocabulary = config_size(config, "vocab_size", 50304, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_position_embeddings", 4096, 1, MODEL_CONTEXT_MAX);
    d->width = config_size(config, "hidden_size", 2560, 2, MODEL_WIDTH_MAX);
    d->layers = config_size(config, "num_hidden_layers", 32, 1, MODEL_LAYERS_MAX);
    d->heads = config_size(config, "num_attention_heads", 32, 1, MODEL_HEADS_MAX);
    d->kv_heads = config_size(config, "num_key_value_heads", 32, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "num_attention_heads", d->width, d->heads);
    config_demand_size(config, "head_dim", d->head_dim);
    d->mlp_width = config_size(config, "intermediate_size", 6912, 1, MODEL_MLP_WIDTH_MAX);
    d->norm_eps = d->final_norm_eps = d->qk_norm_eps = config_real(config, "layer_norm_eps", 1e-5, 0, 1);
    config_activation(config, "hidden_act", "silu", d);
    config_rotary(config, &rotary, d);
    d->gated = true;
    d->residual = config_bool(config, "use_parallel_residual", false) ? RESIDUAL_PARALLEL_ONE_NORM
                                                                      : RESIDUAL_SEQUENTIAL;
    d->qk_norm = config_bool(config, "qk_layernorm", false) ? QK_NORM_PER_HEAD : QK_NORM_NONE;
    d->tied = config_bool(config, "tie_word_embeddings", false);
    config_biases(d, config_bool(config, "use_qkv_bias", false), qkv);
    config_default_tokens(d, 0, 0, -1);
    config_layers_init(config, d);
}

const struct family family_stablelm = {
    .model_type = "stablelm",
    .names = names,
    .prefix = "model.",
    .buffers = buffers,
    .describe = describe,
};
