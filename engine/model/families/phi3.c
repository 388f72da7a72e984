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

const struct family family_phi3 = {
    .model_type = "phi3",
    LIKE_LLAMA,
    .names.own = names,
    .ignored_keys = TEXTS("original_max_position_embeddings"), /* without longrope */
    .sizes = {.vocabulary = 32064, .context = 4096, .width = 3072, .layers = 32, .heads = 32},
    .mlp_width.fallback = 8192,
    .norm_eps.fallback = 1e-5,
    .rotary.fraction = "partial_rotary_factor",
    .rotary.fraction_default = 1,
    .rotary.kinds = ROTARY_KINDS_LONGROPE,
    .rotary.scaling_context = 4096,
    .tokens = {1, 32000, 32000},
    .describe = describe,
    .describe_layers = describe_window,
};
