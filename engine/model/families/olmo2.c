/* OLMo 2 (Walsh et al. 2024): x + Norm(F(x)), with nothing in front of F, and RMS norms of the whole query and key
 * before they are split into heads. */
#include "engine/model/families/conventions.h"

static const struct weight_name names[] = {
    {WEIGHT_ATTENTION_POST_NORM, "layers.%zu.post_attention_layernorm"},
    {WEIGHT_MLP_POST_NORM, "layers.%zu.post_feedforward_layernorm"},
    NAMES_END,
};

static void describe(struct config_reader *config, struct model_description *d) {
    describe_rms_block(d);
    d->placement = PLACEMENT_OUTPUT;
    d->output_is_rmsnorm = true;
    d->qk_norm = QK_NORM_WHOLE;
    config_biases(d, config_bool(config, "attention_bias", false), WEIGHTS_ATTENTION);
}

const struct family family_olmo2 = {
    .model_type = "olmo2",
    LLAMA_KIN,
    .names = {names, names_llama},
    .sizes = {.vocabulary = 50304, .context = 2048, .width = 4096, .layers = 32, .heads = 32},
    .kv_heads = {"num_key_value_heads", 0},
    .mlp_width = {"intermediate_size", 11008},
    .norm_eps = {"rms_norm_eps", 1e-5},
    .activation = {"hidden_act", "silu"},
    .rotary = LLAMA_ROTARY,
    .tokens = {-1, 50279, 1},
    .describe = describe,
};
