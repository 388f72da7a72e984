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
    .prefix = "model.",
    .names = {NULL, names_llama},
    .biases = WEIGHTS_NORMS,
    .buffers = TEXTS(ROTARY_BUFFERS),
    .keys = &keys_llama,
    .sizes = {.vocabulary = 256000, .context = 4096, .width = 6144, .layers = 32, .heads = 48},
    .kv_heads = {"num_key_value_heads", 0},
    .mlp_width = {"intermediate_size", 24576},
    .head_dim = HEAD_DIM_FREE,
    .norm_eps = {"norm_eps", 1e-5},
    .activation = {"hidden_act", "relu2"},
    .rotary = {.theta = "rope_theta",
               .theta_default = 10000,
               .fraction = "partial_rotary_factor",
               .fraction_default = 0.5,
               .rounds_up = true},
    .tokens = {2, 3, -1},
    .describe = describe,
};
