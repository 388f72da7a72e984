/* Cohere Command R and R+ (2024): parallel with one norm without bias, interleaved rotary positions, a gated
 * MLP, logits times logit_scale; R+ with a LayerNorm of each head's query and key. */
#include "engine/model/families.h"

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "embed_tokens", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "norm", BIAS_NONE, false},
    {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.input_layernorm", BIAS_NONE, false},
    {WEIGHT_QUERY, "layers.%zu.self_attn.q_proj", BIAS_NONE, false},
    {WEIGHT_KEY, "layers.%zu.self_attn.k_proj", BIAS_NONE, false},
    {WEIGHT_VALUE, "layers.%zu.self_attn.v_proj", BIAS_NONE, false},
    {WEIGHT_QUERY_NORM, "layers.%zu.self_attn.q_norm", BIAS_NONE, false},
    {WEIGHT_KEY_NORM, "layers.%zu.self_attn.k_norm", BIAS_NONE, false},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.self_attn.o_proj", BIAS_NONE, false},
    {WEIGHT_MLP_GATE, "layers.%zu.mlp.gate_proj", BIAS_NONE, false},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.up_proj", BIAS_NONE, false},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.down_proj", BIAS_NONE, false},
    NAMES_END,
};

static const char *const buffers[] = {ROTARY_BUFFERS, NULL};

static const char *const ignored_keys[] = {"model_max_length", NULL};

/* The library's default changed with the spelling. */
static const struct rotary_keys rotary = {
    .theta = "rope_theta",
    .theta_default = 10000,
    .theta_default_of_parameters = 500000,
};

static void describe(struct config_reader *config, struct model_description *d) {
    static const enum weight attention[] = {WEIGHT_QUERY, WEIGHT_KEY, WEIGHT_VALUE, WEIGHT_ATTENTION_OUT,
                                            WEIGHT_COUNT};
    d->vocabulary = config_size(config, "vocab_size", 256000, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_position_embeddings", 8192, 1, MODEL_CONTEXT_MAX);
    d->width = config_size(config, "hidden_size", 8192, 2, MODEL_WIDTH_MAX);
    d->layers = config_size(config, "num_hidden_layers", 40, 1, MODEL_LAYERS_MAX);
    d->heads = config_size(config, "num_attention_heads", 64, 1, MODEL_HEADS_MAX);
    d->kv_heads = config_size(config, "num_key_value_heads", d->heads, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim_free(config, "num_attention_heads", d);
    d->mlp_width = config_size(config, "intermediate_size", 22528, 1, MODEL_MLP_WIDTH_MAX);
    d->norm_eps = d->final_norm_eps = d->qk_norm_eps = config_real(config, "layer_norm_eps", 1e-5, 0, 1);
    d->logit_scale = config_real(config, "logit_scale", 0.0625, -1e6, 1e6);
    config_activation(config, "hidden_act", "silu", d);
    config_rotary(config, &rotary, d);
    d->rotary.interleaved = true;
    d->gated = true;
    d->residual = RESIDUAL_PARALLEL_ONE_NORM;
    d->qk_norm = config_bool(config, "use_qk_norm", false) ? QK_NORM_PER_HEAD : QK_NORM_NONE;
    d->tied = config_bool(config, "tie_word_embeddings", true);
    config_biases(d, config_bool(config, "attention_bias", false), attention);
    config_default_tokens(d, 5, 255001, 0);
    config_layers_init(config, d);
}

const struct family family_cohere = {
    .model_type = "cohere",
    .names = names,
    .prefix = "model.",
    .buffers = buffers,
    .ignored_keys = ignored_keys,
    .describe = describe,
};
