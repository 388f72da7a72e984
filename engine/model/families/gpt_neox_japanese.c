/* GPT-NeoX-Japanese (ABEJA): sequential, rotary positions, no biases but one behind the attention of the last
 * layer. */
#include "engine/model/families/conventions.h"

static const struct weight_name names[] = {
    {WEIGHT_ATTENTION_OUT, "layers.%zu.attention.dense"},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.attention.dense_bias"},
    NAMES_END,
};

static void describe(struct config_reader *config, struct model_description *d) {
    d->mlp_width =
        d->width * config_size(config, "intermediate_multiple_size", 4, 1, MODEL_MLP_WIDTH_MAX / d->width);
    d->qkv_packing = QKV_PER_HEAD;
    d->bias[WEIGHT_ATTENTION_OUT] = BIAS_LAST_LAYER;
}

const struct family family_gpt_neox_japanese = {
    .model_type = "gpt_neox_japanese",
    .prefix = "gpt_neox_japanese.",
    .names = {names, names_neox},
    .biases = WEIGHTS_NORMS,
    .buffers = TEXTS(NEOX_BUFFERS),
    .ignored_keys = TEXTS(NEOX_COPIED_KEYS),
    .keys = &keys_llama,
    .sizes = {.vocabulary = 32000, .context = 2048, .width = 2560, .layers = 32, .heads = 32},
    .mlp_width = {NULL, FOUR_WIDTHS},
    .head_dim = HEAD_DIM_EQUAL,
    .norm_eps = {"layer_norm_eps", 1e-5},
    .activation = {"hidden_act", "gelu"},
    .rotary = {.theta = "rotary_emb_base",
               .theta_default = 10000,
               .fraction = "rotary_pct",
               .fraction_default = 1},
    .tied = true,
    .tokens = {31996, 31999, -1},
    .describe = describe,
};
