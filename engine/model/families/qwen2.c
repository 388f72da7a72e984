/* Qwen2 and 2.5 (Yang et al. 2024): Llama with biases of q, k and v, and a sliding window in the upper layers
 * where it is asked for. */
#include "engine/model/families/conventions.h"

static void describe(struct config_reader *config, struct model_description *d) {
    (void)config;
    describe_rms_block(d);
    config_biases(d, true, WEIGHTS_QKV);
}

const struct family family_qwen2 = {
    .model_type = "qwen2",
    LLAMA_KIN,
    .names = {NULL, names_llama},
    .sizes = {.vocabulary = 151936, .context = 32768, .width = 4096, .layers = 32, .heads = 32},
    .kv_heads = {"num_key_value_heads", 32},
    .mlp_width = {"intermediate_size", 22016},
    .norm_eps = {"rms_norm_eps", 1e-6},
    .activation = {"hidden_act", "silu"},
    .rotary = LLAMA_ROTARY,
    .tokens = {-1, -1, -1},
    .describe = describe,
    .describe_layers = describe_qwen_windows,
};
