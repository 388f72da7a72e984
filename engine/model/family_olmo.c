/* OLMo 1 (Groeneveld et al. 2024): sequential, norms without gain and bias, rotary positions, a gated MLP. */
#include "engine/model/families.h"

#define CLIP_MIN 1e-9
#define CLIP_MAX 1e6

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "embed_tokens", BIAS_NONE, false},
    {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},
    {WEIGHT_QUERY, "layers.%zu.self_attn.q_proj", BIAS_NONE, false},
    {WEIGHT_KEY, "layers.%zu.self_attn.k_proj", BIAS_NONE, false},
    {WEIGHT_VALUE, "layers.%zu.self_attn.v_proj", BIAS_NONE, false},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.self_attn.o_proj", BIAS_NONE, false},
    {WEIGHT_MLP_GATE, "layers.%zu.mlp.gate_proj", BIAS_NONE, false},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.up_proj", BIAS_NONE, false},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.down_proj", BIAS_NONE, false},
    NAMES_END,
};

static const char *const buffers[] = {ROTARY_BUFFERS, NULL};

static const struct rotary_keys rotary = {.theta = "rope_theta", .theta_default = 10000};

static void describe(struct config_reader *config, struct model_description *d) {
    static const enum weight attention[] = {WEIGHT_QUERY, WEIGHT_KEY, WEIGHT_VALUE, WEIGHT_ATTENTION_OUT,
                                            WEIGHT_COUNT};
    d->vocabulary = config_size(config, "vocab_size", 50304, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_position_embeddings", 2048, 1, MODEL_CONTEXT_MAX);
    d->width = config_size(config, "hidden_size", 4096, 2, MODEL_WIDTH_MAX);
    d->layers = config_size(config, "num_hidden_layers", 32, 1, MODEL_LAYERS_MAX);
    d->heads = config_size(config, "num_attention_heads", 32, 1, MODEL_HEADS_MAX);
    d->kv_heads = config_size(config, "num_key_value_heads", d->heads, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim_free(config, "num_attention_heads", d);
    d->mlp_width = config_size(config, "intermediate_size", 11008, 1, MODEL_MLP_WIDTH_MAX);
    config_activation(config, "hidden_act", "silu", d);
    config_rotary(config, &rotary, d);
    d->norm_plain = true;
    d->gated = true;
    d->clip_qkv = config_real(config, "clip_qkv", 0, CLIP_MIN, CLIP_MAX);
    d->tied = config_bool(config, "tie_word_embeddings", false);
    config_biases(d, config_bool(config, "attention_bias", false), attention);
    config_default_tokens(d, -1, 50279, 1);
    config_layers_init(config, d);
}

const struct family family_olmo = {
    .model_type = "olmo",
    .names = names,
    .prefix = "model.",
    .buffers = buffers,
    .describe = describe,
};
