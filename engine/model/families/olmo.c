/* OLMo 1 (Groeneveld et al. 2024): sequential, norms without gain and bias, rotary positions, a gated MLP. */
#include "engine/model/families/conventions.h"

#define CLIP_MIN 1e-9
#define CLIP_MAX 1e6

static void describe(struct config_reader *config, struct model_description *d) {
    d->norm_plain = true;
    d->gated = true;
    d->clip_qkv = config_real(config, "clip_qkv", 0, CLIP_MIN, CLIP_MAX);
    config_biases(d, config_bool(config, "attention_bias", false), WEIGHTS_ATTENTION);
}

const struct family family_olmo = {
    .model_type = "olmo",
    .prefix = "model.",
    .names = {NULL, names_llama},
    .buffers = TEXTS(ROTARY_BUFFERS),
    .keys = &keys_llama,
    .sizes = {.vocabulary = 50304, .context = 2048, .width = 4096, .layers = 32, .heads = 32},
    .kv_heads = {"num_key_value_heads", 0},
    .mlp_width = {"intermediate_size", 11008},
    .head_dim = HEAD_DIM_FREE,
    .activation = {"hidden_act", "silu"},
    .rotary = {.theta = "rope_theta", .theta_default = 10000},
    .tokens = {-1, 50279, 1},
    .describe = describe,
};
