/* CTRL (Keskar et al. 2019): sequential, sinusoidal positions, embeddings times sqrt(d), a tied head with a
 * bias. The epsilon of its blocks is 1e-6 whatever the config says, which rules the final norm alone. */
#include "engine/model/families/conventions.h"

#include <math.h>

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "w"},
    {WEIGHT_FINAL_NORM, "layernorm"},
    {WEIGHT_ATTENTION_NORM, "h.%zu.layernorm1"},
    {WEIGHT_MLP_NORM, "h.%zu.layernorm2"},
    {WEIGHT_QUERY, "h.%zu.multi_head_attention.Wq"},
    {WEIGHT_KEY, "h.%zu.multi_head_attention.Wk"},
    {WEIGHT_VALUE, "h.%zu.multi_head_attention.Wv"},
    {WEIGHT_ATTENTION_OUT, "h.%zu.multi_head_attention.dense"},
    {WEIGHT_MLP_UP, "h.%zu.ffn.0"},
    {WEIGHT_MLP_DOWN, "h.%zu.ffn.2"},
    NAMES_END,
};

static void describe(struct config_reader *config, struct model_description *d) {
    (void)config;
    d->norm_eps = 1e-6;
    d->activation = ACTIVATION_RELU;
    d->position = POSITION_SINUSOIDAL_CTRL;
    d->embedding_scale = sqrt((double)d->width);
}

const struct family family_ctrl = {
    .model_type = "ctrl",
    .prefix = "transformer.",
    .names = {names, names_gpt2},
    .biases = WEIGHTS_NORMS | WEIGHTS_LINEARS | WEIGHT_BIT(HEAD),
    .ignored_keys = TEXTS("n_ctx", KEYS_SUMMARY),
    .keys = &keys_gpt2,
    .sizes = {.vocabulary = 246534, .context = 256, .width = 1280, .layers = 48, .heads = 16},
    .mlp_width = {"dff", 8192},
    .norm_eps = {"layer_norm_epsilon", 1e-6},
    .tied = true,
    .tokens = {-1, -1, -1},
    .describe = describe,
};
