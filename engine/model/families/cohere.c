/* Cohere Command R and R+ (2024): parallel with one norm without bias, interleaved rotary positions, a gated MLP,
 * logits times logit_scale; R+ with a LayerNorm of each head's query and key. Command R7B and A (2024), cohere2: the
 * same with a sliding window and rotary positions in most layers, and every N-th layer with neither. */
#include "engine/model/families/conventions.h"

static void describe_block(struct config_reader *config, struct model_description *d) {
    d->logit_scale = config_real(config, "logit_scale", 0.0625, -FACTOR_MAX, FACTOR_MAX);
    d->rotary.interleaved = true;
    d->gated = true;
    d->residual = RESIDUAL_PARALLEL_ONE_NORM;
    config_biases(d, config_bool(config, "attention_bias", false), WEIGHTS_ATTENTION);
}

static void describe_cohere(struct config_reader *config, struct model_description *d) {
    describe_block(config, d);
    d->qk_norm = config_bool(config, "use_qk_norm", false) ? QK_NORM_PER_HEAD : QK_NORM_NONE;
}

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

#define LIKE_COHERE                                                                                          \
    LIKE_LLAMA_LAYER_NORM,                                                                                   \
        .sizes = {.vocabulary = 256000, .context = 8192, .width = 8192, .layers = 40, .heads = 64},          \
        .mlp_width.fallback = 22528, .tied = true, .tokens = {5, 255001, 0}

const struct family family_cohere = {
    .model_type = "cohere",
    LIKE_COHERE,
    .rotary.theta_default_of_parameters = 500000, /* the library's default changed with the spelling */
    .describe = describe_cohere,
};

const struct family family_cohere2 = {
    .model_type = "cohere2",
    LIKE_COHERE,
    /* tie_word_embeddings says what use_embedding_sharing does. */
    .ignored_keys = TEXTS("_sliding_window_pattern", "use_embedding_sharing", "use_parallel_embedding"),
    .describe = describe_block,
    .describe_layers = describe_layers,
};
