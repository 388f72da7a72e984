/* SmolLM3 (Hugging Face 2025): Llama whose every fourth layer has no positions. */
#include "engine/model/families/conventions.h"

/* no_rope_layers says 1 where a layer has positions. */
static bool has_positions(struct config_reader *config, const struct model_description *d, size_t layer,
                          size_t interval) {
    const json_t *flags = config_value(config, "no_rope_layers");
    if (!flags) return (layer + 1) % interval != 0;
    const json_t *flag = json_array_get(flags, layer);
    json_int_t value = json_is_integer(flag) ? json_integer_value(flag) : -1;
    if (json_array_size(flags) != d->layers || value < 0 || value > 1)
        config_refuse(config, "no_rope_layers is not a list of 0 or 1 for each of %zu layers", d->layers);
    return value == 1;
}

static void describe_layers(struct config_reader *config, struct model_description *d) {
    size_t interval = config_size(config, "no_rope_layer_interval", 4, 1, MODEL_LAYERS_MAX);
    bool windows = config_bool(config, "use_sliding_window", false);
    size_t window = config_size(config, "sliding_window", 0, 1, MODEL_CONTEXT_MAX);
    if (!windows) window = 0;
    for (size_t i = 0; i < d->layers; i++) {
        d->layer[i].rotary = has_positions(config, d, i, interval);
        d->layer[i].window = d->layer[i].rotary ? 0 : window;
    }
    if (config_has(config, "layer_types")) config_layer_windows(config, d, window, 1);
}

const struct family family_smollm3 = {
    .model_type = "smollm3",
    LIKE_LLAMA,
    .ignored_keys = TEXTS("max_window_layers"), /* layer_types is what counts */
    .sizes = {.vocabulary = 128256, .context = 32768, .width = 2048, .layers = 36, .heads = 16},
    .kv_heads.fallback = 4,
    .rotary.theta_default = 2000000,
    .tied = true,
    .tokens = {128000, 128001, 128004},
    .describe_layers = describe_layers,
};
