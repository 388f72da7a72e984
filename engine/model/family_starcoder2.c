/* StarCoder2 (Lozhkov et al. 2024): sequential, rotary positions, grouped queries, a sliding window in every
 * layer. */
#include "engine/model/families.h"

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "embed_tokens", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "norm", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.input_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_MLP_NORM, "layers.%zu.post_attention_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_QUERY, "layers.%zu.self_attn.q_proj", BIAS_REQUIRED, false},
    {WEIGHT_KEY, "layers.%zu.self_attn.k_proj", BIAS_REQUIRED, false},
    {WEIGHT_VALUE, "layers.%zu.self_attn.v_proj", BIAS_REQUIRED, false},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.self_attn.o_proj", BIAS_REQUIRED, false},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.c_fc", BIAS_REQUIRED, false},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.c_proj", BIAS_REQUIRED, false},
    NAMES_END,
};

static const char *const buffers[] = {ROTARY_BUFFERS, NULL};

/* Published configs carry the first two beside hidden_act and norm_epsilon, which are the ones that count. */
static const char *const ignored_keys[] = {
    "activation_function",
    "layer_norm_epsilon",
    "attention_softmax_in_fp32",
    "scale_attention_softmax_in_fp32",
    NULL,
};

static const struct rotary_keys rotary = {.theta = "rope_theta", .theta_default = 10000};

static void refuse_beyond_library(struct config_reader *config) {
    static const char *const mlps[] = {"default", NULL}, *const norms[] = {"layer_norm", NULL};
    config_choice(config, "mlp_type", "default", mlps);
    config_choice(config, "norm_type", "layer_norm", norms);
    config_demand_bool(config, "scale_attn_weights", true, true, "is not supported: no reference for it");
}

static void describe(struct config_reader *config, struct model_description *d) {
    static const enum weight linears[] = {WEIGHT_QUERY,  WEIGHT_KEY,      WEIGHT_VALUE, WEIGHT_ATTENTION_OUT,
                                          WEIGHT_MLP_UP, WEIGHT_MLP_DOWN, WEIGHT_COUNT};
    d->vocabulary = config_size(config, "vocab_size", 49152, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_position_embeddings", 4096, 1, MODEL_CONTEXT_MAX);
    d->width = config_size(config, "hidden_size", 3072, 2, MODEL_WIDTH_MAX);
    d->layers = config_size(config, "num_hidden_layers", 30, 1, MODEL_LAYERS_MAX);
    d->heads = config_size(config, "num_attention_heads", 24, 1, MODEL_HEADS_MAX);
    d->kv_heads = config_size(config, "num_key_value_heads", 2, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim_free(config, "num_attention_heads", d);
    d->mlp_width = config_size(config, "intermediate_size", 12288, 1, MODEL_MLP_WIDTH_MAX);
    d->norm_eps = d->final_norm_eps = config_real(config, "norm_epsilon", 1e-5, 0, 1);
    config_activation(config, "hidden_act", "gelu_pytorch_tanh", d);
    config_rotary(config, &rotary, d);
    d->tied = config_bool(config, "tie_word_embeddings", true);
    config_biases(d, config_bool(config, "use_bias", true), linears);
    refuse_beyond_library(config);
    config_default_tokens(d, 50256, 50256, -1);

    size_t window = config_size(config, "sliding_window", 0, 1, MODEL_CONTEXT_MAX);
    if (!config_layers_init(config, d)) return;
    for (size_t i = 0; i < d->layers; i++) d->layer[i].window = window;
}

const struct family family_starcoder2 = {
    .model_type = "starcoder2",
    .names = names,
    .prefix = "model.",
    .buffers = buffers,
    .ignored_keys = ignored_keys,
    .describe = describe,
};
