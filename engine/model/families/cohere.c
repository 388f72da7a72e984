/* Cohere Command R and R+ (2024): parallel with one norm without bias, interleaved rotary positions, a gated
 * MLP, logits times logit_scale; R+ with a LayerNorm of each head's query and key. */
#include "engine/model/families/conventions.h"

static void describe(struct config_reader *config, struct model_description *d) {
    describe_cohere_block(config, d);
    d->qk_norm = config_bool(config, "use_qk_norm", false) ? QK_NORM_PER_HEAD : QK_NORM_NONE;
}

const struct family family_cohere = {
    .model_type = "cohere",
    .prefix = "model.",
    .names = {NULL, names_llama},
    .buffers = TEXTS(ROTARY_BUFFERS),
    .keys = &keys_llama,
    .sizes = {.vocabulary = 256000, .context = 8192, .width = 8192, .layers = 40, .heads = 64},
    .kv_heads = {"num_key_value_heads", 0},
    .mlp_width = {"intermediate_size", 22528},
    .head_dim = HEAD_DIM_FREE,
    .norm_eps = {"layer_norm_eps", 1e-5},
    .activation = {"hidden_act", "silu"},
    /* The library's default changed with the spelling. */
    .rotary = {.theta = "rope_theta", .theta_default = 10000, .theta_default_of_parameters = 500000},
    .tied = true,
    .tokens = {5, 255001, 0},
    .describe = describe,
};
