/* OLMo 1 (Groeneveld et al. 2024): sequential, norms without gain and bias, rotary positions, a gated MLP.
 * OLMo 2 (Walsh et al. 2024): x + Norm(F(x)), with nothing in front of F, and RMS norms of the whole query and key
 * before they are split into heads. */
#include "engine/model/families/conventions.h"

#define CLIP_MIN 1e-9 /* 0 would be none */

static const struct weight_name names_olmo2[] = {
    {WEIGHT_ATTENTION_POST_NORM, "layers.%zu.post_attention_layernorm"},
    {WEIGHT_MLP_POST_NORM, "layers.%zu.post_feedforward_layernorm"},
    NAMES_END,
};

static void describe_olmo(struct config_reader *config, struct model_description *d) {
    d->norm_plain = true;
    d->gated = true;
    d->clip_qkv = config_real(config, "clip_qkv", 0, CLIP_MIN, FACTOR_MAX);
    config_biases(d, config_bool(config, "attention_bias", false), WEIGHTS_ATTENTION);
}

static void describe_olmo2(struct config_reader *config, struct model_description *d) {
    describe_rms_block(d);
    d->placement = PLACEMENT_OUTPUT;
    d->output_is_rmsnorm = true;
    d->qk_norm = QK_NORM_WHOLE;
    config_biases(d, config_bool(config, "attention_bias", false), WEIGHTS_ATTENTION);
}

#define LIKE_OLMO LIKE_LLAMA, .sizes.vocabulary = 50304, .tokens = {-1, 50279, 1}

const struct family family_olmo = {
    .model_type = "olmo",
    LIKE_OLMO,
    .norm_eps = {NULL, 0},
    .rotary.kinds = ROTARY_KINDS_OLD,
    .describe = describe_olmo,
};

const struct family family_olmo2 = {
    .model_type = "olmo2",
    LIKE_OLMO,
    .names.own = names_olmo2,
    .norm_eps.fallback = 1e-5,
    .describe = describe_olmo2,
};
