/* Gemma 2 (Riviere et al. 2024): Gemma with norms on both sides of each sub-layer, a window in every other layer,
 * soft caps on scores and logits. */
#include "engine/model/families/conventions.h"

static void describe(struct config_reader *config, struct model_description *d) {
    describe_gemma_block(config, d);
    d->placement = PLACEMENT_SANDWICH;
    d->score_cap = config_cap(config, "attn_logit_softcapping", 50);
    d->logit_cap = config_cap(config, "final_logit_softcapping", 30);
}

static void describe_layers(struct config_reader *config, struct model_description *d) {
    describe_gemma_layers(config, d, 2);
}

const struct family family_gemma2 = {
    .model_type = "gemma2",
    LLAMA_KIN,
    .names = {names_gemma2, names_llama},
    .sizes = {.vocabulary = 256000, .context = 8192, .width = 2304, .layers = 26, .heads = 8},
    .kv_heads = {"num_key_value_heads", 4},
    .mlp_width = {"intermediate_size", 9216},
    .head_dim_default = 256,
    .norm_eps = {"rms_norm_eps", 1e-6},
    .activation = {"hidden_activation", "gelu_pytorch_tanh"},
    .rotary = LLAMA_ROTARY,
    /* hidden_activation is the one that counts; sliding_window_size says sliding_window once more (9B, 27B). */
    .ignored_keys = TEXTS("hidden_act", "sliding_window_size"),
    .tied = true,
    .tokens = {2, 1, 0},
    .describe = describe,
    .describe_layers = describe_layers,
};
