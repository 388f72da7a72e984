/* Cohere Command R7B and A (2024): Command R with a sliding window and rotary positions in most layers, and
 * every N-th layer with neither. */
#include "engine/model/families.h"

#include <string.h>

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "embed_tokens", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "norm", BIAS_NONE, false},
    {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.input_layernorm", BIAS_NONE, false},
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

/* tie_word_embeddings says what use_embedding_sharing does. */
static const char *const ignored_keys[] = {"_sliding_window_pattern", "use_embedding_sharing",
                                           "use_parallel_embedding", NULL};

static const struct rotary_keys rotary = {.theta = "rope_theta", .theta_default = 10000};

/* Settings of the training code that the library takes for granted. */
static void refuse_beyond_library(struct config_reader *config, size_t pattern) {
    static const char *const orders[] = {"local_attn_first", NULL}, *const positions[] = {"rope_gptj", NULL};
    static const char *const why = "is not supported: no reference for it";
    config_choice(config, "order_of_interleaved_layers", "local_attn_first", orders);
    config_choice(config, "position_embedding_type", "rope_gptj", positions);
    config_demand_bool(config, "use_gated_activation", true, true, why);
    config_demand_bool(config, "use_parallel_block", true, true, why);
    config_demand_bool(config, "use_qk_norm", false, false, why);
    if (config_real(config, "rotary_pct", 1, 0, 1) != 1)
        config_refuse(config, "rotary_pct other than 1 %s", why);
    if (!config_has(config, "layer_types"))
        config_demand_size(config, "layer_switch", pattern);
    else
        config_size(config, "layer_switch", pattern, 1, MODEL_LAYERS_MAX);
}

static bool is_sliding(struct config_reader *config, const json_t *type) {
    const char *text = json_string_value(type);
    bool sliding = text && strcmp(text, "sliding_attention") == 0;
    if (!sliding && !(text && strcmp(text, "full_attention") == 0))
        config_refuse(config,
                      "layer_types holds something other than \"sliding_attention\" and \"full_attention\"");
    return sliding;
}

static void describe_layers(struct config_reader *config, struct model_description *d, size_t pattern,
                            size_t window) {
    const json_t *types = config_value(config, "layer_types");
    if (types && json_array_size(types) != d->layers)
        config_refuse(config, "layer_types does not make num_hidden_layers=%zu", d->layers);
    if (!config_layers_init(config, d)) return;
    for (size_t i = 0; i < d->layers; i++) {
        bool sliding = types ? is_sliding(config, json_array_get(types, i)) : (i + 1) % pattern != 0;
        d->layer[i].window = sliding ? window : 0;
        d->layer[i].rotary = sliding;
    }
}

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
    d->norm_eps = d->final_norm_eps = config_real(config, "layer_norm_eps", 1e-5, 0, 1);
    d->logit_scale = config_real(config, "logit_scale", 0.0625, -1e6, 1e6);
    config_activation(config, "hidden_act", "silu", d);
    config_rotary(config, &rotary, d);
    d->rotary.interleaved = true;
    d->gated = true;
    d->residual = RESIDUAL_PARALLEL_ONE_NORM;
    d->tied = config_bool(config, "tie_word_embeddings", true);
    config_biases(d, config_bool(config, "attention_bias", false), attention);
    config_default_tokens(d, 5, 255001, 0);

    config_refuse_null(config, "sliding_window");
    size_t window = config_size(config, "sliding_window", 4096, 1, MODEL_CONTEXT_MAX);
    size_t pattern = config_size(config, "sliding_window_pattern", 4, 1, MODEL_LAYERS_MAX);
    refuse_beyond_library(config, pattern);
    describe_layers(config, d, pattern, window);
}

const struct family family_cohere2 = {
    .model_type = "cohere2",
    .names = names,
    .prefix = "model.",
    .buffers = buffers,
    .ignored_keys = ignored_keys,
    .describe = describe,
};
