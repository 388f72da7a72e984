/* Gemma 3, the text models (Kamath et al. 2025): Gemma 2 with RMS norms of each head's query and key in place of
 * the soft caps, five windowed layers to a full one, and a rotary base of their own for the windowed ones. */
#include "engine/model/families/conventions.h"

static void describe(struct config_reader *config, struct model_description *d) {
    describe_gemma_block(config, d);
    d->placement = PLACEMENT_SANDWICH;
    d->qk_norm = QK_NORM_SHARED;
    if (config_has(config, "attn_logit_softcapping"))
        config_refuse(config, "attn_logit_softcapping is read by the library, and applied nowhere");
    d->logit_cap = config_cap(config, "final_logit_softcapping", 0);
}

static void describe_layers(struct config_reader *config, struct model_description *d) {
    size_t pattern = config_size(config, "sliding_window_pattern", 6, 1, MODEL_LAYERS_MAX);
    /* A copy that the library writes and does not read. */
    if (!config_has(config, "layer_types")) config_demand_size(config, "_sliding_window_pattern", pattern);
    describe_gemma_layers(config, d, pattern);
    for (size_t i = 0; i < d->layers; i++) d->layer[i].local = d->layer[i].window > 0;
}

const struct family family_gemma3_text = {
    .model_type = "gemma3_text",
    LLAMA_KIN,
    .names = {names_gemma2, names_llama},
    .sizes = {.vocabulary = 262208, .context = 131072, .width = 2304, .layers = 26, .heads = 8},
    .kv_heads = {"num_key_value_heads", 4},
    .mlp_width = {"intermediate_size", 9216},
    .head_dim_default = 256,
    .norm_eps = {"rms_norm_eps", 1e-6},
    .activation = {"hidden_activation", "gelu_pytorch_tanh"},
    .ignored_keys = TEXTS("_sliding_window_pattern", "hidden_act"),
    .rotary = {.theta = "rope_theta",
               .theta_default = 1000000,
               .kinds = ROTARY_KINDS_ALL,
               .local_theta = "rope_local_base_freq",
               .local_theta_default = 10000},
    .tied = true,
    .tokens = {2, 1, 0},
    .describe = describe,
    .describe_layers = describe_layers,
};
