/* GPT-NeoX (Black et al. 2022), Pythia: parallel with two norms, or sequential; partial rotary positions; q, k, v of
 * a head together. GPT-NeoX-Japanese (ABEJA): sequential, no biases but one behind the attention of the last layer. */
#include "engine/model/families/conventions.h"

static const struct weight_name names_japanese[] = {
    {WEIGHT_ATTENTION_OUT, "layers.%zu.attention.dense"},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.attention.dense_bias"},
    NAMES_END,
};

static void describe_neox(struct config_reader *config, struct model_description *d) {
    d->residual = config_bool(config, "use_parallel_residual", true) ? RESIDUAL_PARALLEL_TWO_NORMS
                                                                     : RESIDUAL_SEQUENTIAL;
    d->qkv_packing = QKV_PER_HEAD;
    config_biases(d, config_bool(config, "attention_bias", true), WEIGHTS_ATTENTION);
}

static void describe_japanese(struct config_reader *config, struct model_description *d) {
    d->mlp_width =
        d->width * config_size(config, "intermediate_multiple_size", 4, 1, MODEL_MLP_WIDTH_MAX / d->width);
    d->qkv_packing = QKV_PER_HEAD;
    d->bias[WEIGHT_ATTENTION_OUT] = BIAS_LAST_LAYER;
}

/* rope_theta and partial_rotary_factor are copies that the library writes and does not read. */
#define LIKE_NEOX                                                                                            \
    .names = {NULL, names_neox}, .biases = WEIGHTS_NORMS,                                                    \
    .buffers = TEXTS(".attention.bias", ".attention.masked_bias", ROTARY_BUFFERS), .keys = &keys_llama,      \
    .ignored_keys = TEXTS("rope_theta", "partial_rotary_factor", "num_steps"), .head_dim = HEAD_DIM_EQUAL,   \
    .norm_eps = {"layer_norm_eps", 1e-5}, .activation = {"hidden_act", "gelu"},                              \
    .rotary = {.theta = "rotary_emb_base", .theta_default = 10000, .fraction = "rotary_pct"}

const struct family family_gpt_neox = {
    .model_type = "gpt_neox",
    LIKE_NEOX,
    .prefix = "gpt_neox.",
    .biases = WEIGHTS_NORMS | WEIGHTS_MLP,
    .sizes = {.vocabulary = 50432, .context = 2048, .width = 6144, .layers = 44, .heads = 64},
    .mlp_width = {"intermediate_size", 24576},
    .rotary.fraction_default = 0.25,
    .rotary.rounds_up = true,
    .tokens = {0, 2, -1},
    .describe = describe_neox,
};

const struct family family_gpt_neox_japanese = {
    .model_type = "gpt_neox_japanese",
    LIKE_NEOX,
    .prefix = "gpt_neox_japanese.",
    .names.own = names_japanese,
    .ignored_keys = TEXTS("rope_theta", "partial_rotary_factor"),
    .sizes = {.vocabulary = 32000, .context = 2048, .width = 2560, .layers = 32, .heads = 32},
    .mlp_width = {NULL, FOUR_WIDTHS},
    .rotary.fraction_default = 1,
    .tied = true,
    .tokens = {31996, 31999, -1},
    .describe = describe_japanese,
};
