/* Qwen, dense: Llama with a sliding window in the upper layers where it is asked for. Qwen2 and 2.5 (Yang et al.
 * 2024) have biases of q, k and v; Qwen3 (Yang et al. 2025) an RMS norm of each head's query and key before the
 * rotation. */
#include "engine/model/families/conventions.h"

static void describe_qwen2(struct config_reader *config, struct model_description *d) {
    (void)config;
    describe_rms_block(d);
    config_biases(d, true, WEIGHTS_QKV);
}

static void describe_qwen3(struct config_reader *config, struct model_description *d) {
    describe_rms_block(d);
    d->qk_norm = QK_NORM_SHARED;
    config_biases(d, config_bool(config, "attention_bias", false), WEIGHTS_ATTENTION);
}

/* Of the layers from max_window_layers on, or by layer_types. */
static void describe_windows(struct config_reader *config, struct model_description *d) {
    bool windows = config_bool(config, "use_sliding_window", false);
    size_t window = config_is_null(config, "sliding_window") ? 0 : 4096;
    window = config_size(config, "sliding_window", window, 1, MODEL_CONTEXT_MAX);
    size_t full = config_size(config, "max_window_layers", 28, 0, MODEL_LAYERS_MAX);
    if (!windows) window = 0;
    for (size_t i = 0; i < d->layers; i++) d->layer[i].window = i < full ? 0 : window;
    if (config_has(config, "layer_types")) config_layer_windows(config, d, window, 1);
}

#define LIKE_QWEN                                                                                            \
    LIKE_LLAMA, .sizes.vocabulary = 151936, .sizes.context = 32768, .kv_heads.fallback = 32,                 \
                .mlp_width.fallback = 22016, .tokens = {-1, -1, -1}, .describe_layers = describe_windows

const struct family family_qwen2 = {.model_type = "qwen2", LIKE_QWEN, .describe = describe_qwen2};

const struct family family_qwen3 = {
    .model_type = "qwen3",
    LIKE_QWEN,
    .head_dim_default = 128,
    .describe = describe_qwen3,
};
