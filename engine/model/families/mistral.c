/* Mistral 7B and kin (Jiang et al. 2023): Llama without biases, with a sliding window in every layer, or none. */
#include "engine/model/families/conventions.h"

static void describe_layers(struct config_reader *config, struct model_description *d) {
    bool none = config_is_null(config, "sliding_window");
    size_t window = none ? 0 : config_size(config, "sliding_window", 4096, 1, MODEL_CONTEXT_MAX);
    if (config_has(config, "layer_types"))
        config_refuse(config, "layer_types is not read by the library, which gives every layer the window");
    for (size_t i = 0; i < d->layers; i++) d->layer[i].window = window;
}

const struct family family_mistral = {
    .model_type = "mistral",
    LIKE_LLAMA,
    .sizes.context = 131072,
    .kv_heads.fallback = 8,
    .mlp_width.fallback = 14336,
    .describe = describe_rms_block_unbiased,
    .describe_layers = describe_layers,
};
