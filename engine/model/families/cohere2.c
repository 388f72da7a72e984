/* Cohere Command R7B and A (2024): Command R with a sliding window and rotary positions in most layers, and
 * every N-th layer with neither. */
#include "engine/model/families/conventions.h"

/* Settings of the training code that the library takes for granted. */
static void refuse_beyond_library(struct config_reader *config, size_t pattern) {
    config_choice(config, "order_of_interleaved_layers", "local_attn_first", TEXTS("local_attn_first"));
    config_choice(config, "position_embedding_type", "rope_gptj", TEXTS("rope_gptj"));
    config_demand_bool(config, "use_gated_activation", true, true, NO_REFERENCE);
    config_demand_bool(config, "use_parallel_block", true, true, NO_REFERENCE);
    config_demand_bool(config, "use_qk_norm", false, false, NO_REFERENCE);
    if (config_real(config, "rotary_pct", 1, 0, 1) != 1)
        config_refuse(config, "rotary_pct other than 1 " NO_REFERENCE);
    if (!config_has(config, "layer_types"))
        config_demand_size(config, "layer_switch", pattern);
    else
        config_size(config, "layer_switch", pattern, 1, MODEL_LAYERS_MAX);
}

static void describe_layers(struct config_reader *config, struct model_description *d) {
    config_refuse_null(config, "sliding_window");
    size_t window = config_size(config, "sliding_window", 4096, 1, MODEL_CONTEXT_MAX);
    size_t pattern = config_size(config, "sliding_window_pattern", 4, 1, MODEL_LAYERS_MAX);
    refuse_beyond_library(config, pattern);
    config_layer_windows(config, d, window, pattern);
    for (size_t i = 0; i < d->layers; i++) d->layer[i].rotary = d->layer[i].window > 0;
}

const struct family family_cohere2 = {
    .model_type = "cohere2",
    .prefix = "model.",
    .names = {NULL, names_llama},
    .buffers = TEXTS(ROTARY_BUFFERS),
    /* tie_word_embeddings says what use_embedding_sharing does. */
    .ignored_keys = TEXTS("_sliding_window_pattern", "use_embedding_sharing", "use_parallel_embedding"),
    .keys = &keys_llama,
    .sizes = {.vocabulary = 256000, .context = 8192, .width = 8192, .layers = 40, .heads = 64},
    .kv_heads = {"num_key_value_heads", 0},
    .mlp_width = {"intermediate_size", 22528},
    .head_dim = HEAD_DIM_FREE,
    .norm_eps = {"layer_norm_eps", 1e-5},
    .activation = {"hidden_act", "silu"},
    .rotary = {.theta = "rope_theta", .theta_default = 10000},
    .tied = true,
    .tokens = {5, 255001, 0},
    .describe = describe_cohere_block,
    .describe_layers = describe_layers,
};
