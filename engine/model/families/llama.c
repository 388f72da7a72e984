/* Llama 1 to 3 (Touvron et al. 2023) and the many of its kind: TinyLlama, SmolLM2, Yi, DeepSeek's dense ones.
 * Sequential, RMSNorm, rotary positions, grouped queries, a gated MLP. */
#include "engine/model/families/conventions.h"

static void describe(struct config_reader *config, struct model_description *d) {
    describe_llama_block(config, d);
    config_demand_bool(config, "rope_interleaved", false, false, NO_REFERENCE);
}

const struct family family_llama = {
    .model_type = "llama",
    LLAMA_KIN,
    .names = {NULL, names_llama},
    .sizes = {.vocabulary = 32000, .context = 2048, .width = 4096, .layers = 32, .heads = 32},
    .kv_heads = {"num_key_value_heads", 0},
    .mlp_width = {"intermediate_size", 11008},
    .norm_eps = {"rms_norm_eps", 1e-6},
    .activation = {"hidden_act", "silu"},
    .rotary = LLAMA_ROTARY,
    .tokens = {1, 2, -1},
    .describe = describe,
};
