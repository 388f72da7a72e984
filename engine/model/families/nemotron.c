/* Nemotron 3, 4 and Minitron (Parmar et al. 2024): sequential, LayerNorm1P (gains are stored minus 1),
 * partial rotary positions, grouped queries, squared ReLU. */
#include "engine/model/families/conventions.h"

static void describe(struct config_reader *config, struct model_description *d) {
    d->norm_gain_offset = 1;
    if (config_has(config, "rope_scaling") && d->rotary.scaling != ROTARY_SCALING_NONE)
        config_refuse(
            config, "rope_scaling is ignored by the library up to 4.x and honoured from 5.0: expected it in "
                    "rope_parameters, or not at all");
    config_biases(d, config_bool(config, "attention_bias", false), WEIGHTS_ATTENTION);
    config_biases(d, config_bool(config, "mlp_bias", false), WEIGHTS_MLP);
}

const struct family family_nemotron = {
    .model_type = "nemotron",
    LIKE_LLAMA_LAYER_NORM,
    .biases = WEIGHTS_NORMS,
    .sizes = {.vocabulary = 256000, .context = 4096, .width = 6144, .layers = 32, .heads = 48},
    .mlp_width.fallback = 24576,
    .norm_eps.key = "norm_eps",
    .activation.fallback = "relu2",
    .rotary.fraction = "partial_rotary_factor",
    .rotary.fraction_default = 0.5,
    .rotary.rounds_up = true,
    .tokens = {2, 3, -1},
    .describe = describe,
};
