/* Gemma 1 (Mesnard et al. 2024): gains stored minus 1, embedding times sqrt(width), an MLP gated by GELU.
 * Gemma 2 (Riviere et al. 2024): norms on both sides of each sub-layer, a window in every other layer, soft caps on
 * scores and logits. Gemma 3, the text models (Kamath et al. 2025): Gemma 2 with RMS norms of each head's query and
 * key in place of the soft caps, five windowed layers to a full one, and a rotary base of their own for the windowed
 * ones. */
#include "engine/model/families/conventions.h"

#include <math.h>
#include <string.h>

#define CAP_MAX 1e9 /* beyond any score or logit */

/* The norms around the sub-layers of Gemma 2 and 3. */
static const struct weight_name names[] = {
    {WEIGHT_ATTENTION_POST_NORM, "layers.%zu.post_attention_layernorm"},
    {WEIGHT_MLP_NORM, "layers.%zu.pre_feedforward_layernorm"},
    {WEIGHT_MLP_POST_NORM, "layers.%zu.post_feedforward_layernorm"},
    NAMES_END,
};

/* The traits of all generations. */
static void describe_block(struct config_reader *config, struct model_description *d) {
    describe_rms_block(d);
    d->norm_gain_offset = 1;
    d->embedding_scale = sqrt((double)d->width);
    config_biases(d, config_bool(config, "attention_bias", false), WEIGHTS_ATTENTION);
    config_demand_bool(config, "use_bidirectional_attention", false, false,
                       "lets tokens see what follows them: only causal models are served");
}

/* Published configs say gelu where they mean its tanh form, and hidden_activation overrules them in some versions
 * of the library. */
static void describe_gemma(struct config_reader *config, struct model_description *d) {
    const char *act =
        config_text(config, "hidden_activation", config_text(config, "hidden_act", "gelu_pytorch_tanh"));
    describe_block(config, d);
    d->activation = ACTIVATION_GELU_TANH;
    if (strcmp(act, "gelu") != 0 && strcmp(act, "gelu_pytorch_tanh") != 0)
        config_refuse(config, "hidden_act=\"%.40s\" " NO_REFERENCE, act);
}

/* A soft cap; null: none (0). */
static double read_cap(struct config_reader *config, const char *key, double fallback) {
    return config_real(config, key, config_is_null(config, key) ? 0 : fallback, FACTOR_MIN, CAP_MAX);
}

static void describe_gemma2(struct config_reader *config, struct model_description *d) {
    describe_block(config, d);
    d->placement = PLACEMENT_SANDWICH;
    d->score_cap = read_cap(config, "attn_logit_softcapping", 50);
    d->logit_cap = read_cap(config, "final_logit_softcapping", 30);
}

static void describe_gemma3(struct config_reader *config, struct model_description *d) {
    describe_block(config, d);
    d->placement = PLACEMENT_SANDWICH;
    d->qk_norm = QK_NORM_SHARED;
    if (config_has(config, "attn_logit_softcapping"))
        config_refuse(config, "attn_logit_softcapping is read by the library, and applied nowhere");
    d->logit_cap = read_cap(config, "final_logit_softcapping", 0);
}

/* query_pre_attn_scalar, and windows in all but every period-th layer. */
static void describe_windowed_layers(struct config_reader *config, struct model_description *d,
                                     size_t period) {
    config_refuse_null(config, "sliding_window");
    config_refuse_null(config, "query_pre_attn_scalar");
    double scalar = config_real(config, "query_pre_attn_scalar", 256, FACTOR_MIN, FACTOR_MAX);
    config_layer_windows(config, d, config_size(config, "sliding_window", 4096, 1, MODEL_CONTEXT_MAX),
                         period);
    for (size_t i = 0; i < d->layers; i++) d->layer[i].attention_scale = 1 / sqrt(scalar);
}

static void describe_layers_gemma2(struct config_reader *config, struct model_description *d) {
    describe_windowed_layers(config, d, 2);
}

static void describe_layers_gemma3(struct config_reader *config, struct model_description *d) {
    size_t pattern = config_size(config, "sliding_window_pattern", 6, 1, MODEL_LAYERS_MAX);
    /* A copy that the library writes and does not read. */
    if (!config_has(config, "layer_types")) config_demand_size(config, "_sliding_window_pattern", pattern);
    describe_windowed_layers(config, d, pattern);
    for (size_t i = 0; i < d->layers; i++) d->layer[i].local = d->layer[i].window > 0;
}

#define LIKE_GEMMA                                                                                           \
    LIKE_LLAMA, .sizes = {.vocabulary = 256000, .context = 8192, .width = 3072, .layers = 28, .heads = 16},  \
                .kv_heads.fallback = 16, .mlp_width.fallback = 24576, .head_dim_default = 256, .tied = true, \
                .tokens = {2, 1, 0}

/* hidden_activation is the one that counts; sliding_window_size says sliding_window once more (Gemma 2 9B, 27B). */
#define LIKE_GEMMA2                                                                                          \
    LIKE_GEMMA, .names.own = names, .sizes.width = 2304, .sizes.layers = 26, .sizes.heads = 8,               \
                .kv_heads.fallback = 4, .mlp_width.fallback = 9216,                                          \
                .activation = {"hidden_activation", "gelu_pytorch_tanh"},                                    \
                .ignored_keys = TEXTS("hidden_act", "sliding_window_size")

const struct family family_gemma = {
    .model_type = "gemma",
    LIKE_GEMMA,
    .activation.key = NULL, /* describe_gemma() reads it */
    .describe = describe_gemma,
};

const struct family family_gemma2 = {
    .model_type = "gemma2",
    LIKE_GEMMA2,
    .describe = describe_gemma2,
    .describe_layers = describe_layers_gemma2,
};

const struct family family_gemma3_text = {
    .model_type = "gemma3_text",
    LIKE_GEMMA2,
    .sizes.vocabulary = 262208,
    .sizes.context = 131072,
    .ignored_keys = TEXTS("_sliding_window_pattern", "hidden_act"),
    .rotary.theta_default = 1000000,
    .rotary.local_theta = "rope_local_base_freq",
    .rotary.local_theta_default = 10000,
    .describe = describe_gemma3,
    .describe_layers = describe_layers_gemma3,
};
