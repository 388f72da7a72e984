/* Phi-3, 3.5 and 4 mini (Abdin et al. 2024): Llama with fused projections, and rotary positions that longrope
 * scales. */
#include "engine/model/families/conventions.h"

static const struct weight_name names[] = {
    {WEIGHT_QKV, "layers.%zu.self_attn.qkv_proj"},
    {WEIGHT_MLP_GATE_UP, "layers.%zu.mlp.gate_up_proj"},
    NAMES_END,
};

static void describe(struct config_reader *config, struct model_description *d) {
    describe_rms_block_unbiased(config, d);
    d->qkv_packing = QKV_CONCATENATED;
    d->gate_up_stacked = true;
}

static void describe_layers(struct config_reader *config, struct model_description *d) {
    size_t window = config_size(config, "sliding_window", 0, 1, MODEL_CONTEXT_MAX);
    for (size_t i = 0; i < d->layers; i++) d->layer[i].window = window;
}

const struct family family_phi3 = {
    .model_type = "phi3",
    LLAMA_KIN,
    .names = {names, names_llama},
    .ignored_keys = TEXTS("original_max_position_embeddings"), /* without longrope */
    .sizes = {.vocabulary = 32064, .context = 4096, .width = 3072, .layers = 32, .heads = 32},
    .kv_heads = {"num_key_value_heads", 0},
    .mlp_width = {"intermediate_size", 8192},
    .norm_eps = {"rms_norm_eps", 1e-5},
    .activation = {"hidden_act", "silu"},
    .rotary = {.theta = "rope_theta",
               .theta_default = 10000,
               .fraction = "partial_rotary_factor",
               .fraction_default = 1,
               .kinds = ROTARY_KINDS_LONGROPE,
               .scaling_context = 4096},
    .tokens = {1, 32000, 32000},
    .describe = describe,
    .describe_layers = describe_layers,
};
