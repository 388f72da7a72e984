/* Qwen3, dense (Yang et al. 2025): Llama with an RMS norm of each head's query and key before the rotation. */
#include "engine/model/families/conventions.h"

static void describe(struct config_reader *config, struct model_description *d) {
    describe_rms_block(d);
    d->qk_norm = QK_NORM_SHARED;
    config_biases(d, config_bool(config, "attention_bias", false), WEIGHTS_ATTENTION);
}

const struct family family_qwen3 = {
    .model_type = "qwen3",
    LLAMA_KIN,
    .names = {NULL, names_llama},
    .sizes = {.vocabulary = 151936, .context = 32768, .width = 4096, .layers = 32, .heads = 32},
    .kv_heads = {"num_key_value_heads", 32},
    .mlp_width = {"intermediate_size", 22016},
    .head_dim_default = 128,
    .norm_eps = {"rms_norm_eps", 1e-6},
    .activation = {"hidden_act", "silu"},
    .rotary = LLAMA_ROTARY,
    .tokens = {-1, -1, -1},
    .describe = describe,
    .describe_layers = describe_qwen_windows,
};
