/* GPT-NeoX (Black et al. 2022), Pythia: parallel with two norms, or sequential; partial rotary positions;
 * q, k, v of a head together. */
#include "engine/model/families/conventions.h"

static void describe(struct config_reader *config, struct model_description *d) {
    d->residual = config_bool(config, "use_parallel_residual", true) ? RESIDUAL_PARALLEL_TWO_NORMS
                                                                     : RESIDUAL_SEQUENTIAL;
    d->qkv_packing = QKV_PER_HEAD;
    config_biases(d, config_bool(config, "attention_bias", true), WEIGHTS_ATTENTION);
}

const struct family family_gpt_neox = {
    .model_type = "gpt_neox",
    .prefix = "gpt_neox.",
    .names = {NULL, names_neox},
    .biases = WEIGHTS_NORMS | WEIGHTS_MLP,
    .buffers = TEXTS(NEOX_BUFFERS),
    .ignored_keys = TEXTS(NEOX_COPIED_KEYS, "num_steps"),
    .keys = &keys_llama,
    .sizes = {.vocabulary = 50432, .context = 2048, .width = 6144, .layers = 44, .heads = 64},
    .mlp_width = {"intermediate_size", 24576},
    .head_dim = HEAD_DIM_EQUAL,
    .norm_eps = {"layer_norm_eps", 1e-5},
    .activation = {"hidden_act", "gelu"},
    .rotary = {.theta = "rotary_emb_base",
               .theta_default = 10000,
               .fraction = "rotary_pct",
               .fraction_default = 0.25,
               .rounds_up = true},
    .tokens = {0, 2, -1},
    .describe = describe,
};
