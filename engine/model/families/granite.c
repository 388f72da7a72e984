/* Granite 3 (IBM 2024), dense: Llama with multipliers of embedding, sub-layers, scores and logits. */
#include "engine/model/families/conventions.h"

static void describe(struct config_reader *config, struct model_description *d) {
    describe_llama_block(config, d);
    d->embedding_scale = config_real(config, "embedding_multiplier", 1, -FACTOR_MAX, FACTOR_MAX);
    d->residual_multiplier = config_real(config, "residual_multiplier", 1, -FACTOR_MAX, FACTOR_MAX);
    d->logit_scale = 1 / config_real(config, "logits_scaling", 1, FACTOR_MIN, FACTOR_MAX);
}

static void describe_layers(struct config_reader *config, struct model_description *d) {
    double multiplier = config_real(config, "attention_multiplier", 1, -FACTOR_MAX, FACTOR_MAX);
    for (size_t i = 0; i < d->layers; i++) d->layer[i].attention_scale = multiplier;
}

const struct family family_granite = {
    .model_type = "granite",
    LIKE_LLAMA,
    .describe = describe,
    .describe_layers = describe_layers,
};
