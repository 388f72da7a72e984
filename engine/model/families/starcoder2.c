/* StarCoder2 (Lozhkov et al. 2024): sequential, rotary positions, grouped queries, a sliding window in every
 * layer. */
#include "engine/model/families/conventions.h"

static const struct weight_name names[] = {
    {WEIGHT_MLP_UP, "layers.%zu.mlp.c_fc"},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.c_proj"},
    NAMES_END,
};

static void describe(struct config_reader *config, struct model_description *d) {
    config_biases(d, config_bool(config, "use_bias", true), WEIGHTS_LINEARS);
    config_choice(config, "mlp_type", "default", TEXTS("default"));
    config_choice(config, "norm_type", "layer_norm", TEXTS("layer_norm"));
    config_demand_bool(config, "scale_attn_weights", true, true, NO_REFERENCE);
}

const struct family family_starcoder2 = {
    .model_type = "starcoder2",
    LIKE_LLAMA_LAYER_NORM,
    .names.own = names,
    .biases = WEIGHTS_NORMS,
    /* Published configs carry the first two beside hidden_act and norm_epsilon, which are the ones that
     * count. */
    .ignored_keys = TEXTS("activation_function", "layer_norm_epsilon", "scale_attention_softmax_in_fp32"),
    .sizes = {.vocabulary = 49152, .context = 4096, .width = 3072, .layers = 30, .heads = 24},
    .kv_heads.fallback = 2,
    .mlp_width.fallback = 12288,
    .norm_eps.key = "norm_epsilon",
    .activation.fallback = "gelu_pytorch_tanh",
    .tied = true,
    .tokens = {50256, 50256, -1},
    .describe = describe,
    .describe_layers = describe_window,
};
