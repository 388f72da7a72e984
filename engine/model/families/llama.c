/* Llama 1 to 3 (Touvron et al. 2023) and the many of its kind: TinyLlama, SmolLM2, Yi, DeepSeek's dense ones.
 * Sequential, RMSNorm, rotary positions, grouped queries, a gated MLP. */
#include "engine/model/families/conventions.h"

static void describe(struct config_reader *config, struct model_description *d) {
    describe_llama_block(config, d);
    config_demand_bool(config, "rope_interleaved", false, false, NO_REFERENCE);
}

const struct family family_llama = {
    .model_type = "llama",
    LIKE_LLAMA,
    .describe = describe,
};
