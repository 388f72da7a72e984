/* StableLM 3B, 2 1.6B and 2 12B (Stability AI 2023): sequential, or parallel with one norm; partial rotary
 * positions, a gated MLP, and where qk_layernorm says so a norm of its own for each head. */
#include "engine/model/families/conventions.h"

static const struct weight_name names[] = {
    {WEIGHT_QUERY_NORM, "layers.%zu.self_attn.q_layernorm.norms.%zu"},
    {WEIGHT_KEY_NORM, "layers.%zu.self_attn.k_layernorm.norms.%zu"},
    NAMES_END,
};

static void describe(struct config_reader *config, struct model_description *d) {
    d->gated = true;
    d->residual = config_bool(config, "use_parallel_residual", false) ? RESIDUAL_PARALLEL_ONE_NORM
                                                                      : RESIDUAL_SEQUENTIAL;
    d->qk_norm = config_bool(config, "qk_layernorm", false) ? QK_NORM_PER_HEAD : QK_NORM_NONE;
    config_biases(d, config_bool(config, "use_qkv_bias", false), WEIGHTS_QKV);
}

const struct family family_stablelm = {
    .model_type = "stablelm",
    LIKE_LLAMA_LAYER_NORM,
    .names.own = names,
    .biases = WEIGHTS_NORMS,
    .architectures = TEXTS("StableLMEpochForCausalLM"),
    .sizes = {.vocabulary = 50304, .context = 4096, .width = 2560, .layers = 32, .heads = 32},
    .kv_heads.fallback = 32,
    .mlp_width.fallback = 6912,
    .head_dim = HEAD_DIM_EQUAL,
    .rotary.fraction = "partial_rotary_factor",
    .rotary.fraction_default = 0.25,
    .tokens = {0, 0, -1},
    .describe = describe,
};
