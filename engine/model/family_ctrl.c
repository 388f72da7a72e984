/* CTRL (Keskar et al. 2019): sequential, sinusoidal positions, embeddings times sqrt(d), a tied head with a
 * bias. The epsilon of its blocks is 1e-6 whatever the config says, which rules the final norm alone. */
#include "engine/model/families.h"

#include <math.h>

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "w", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "layernorm", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "lm_head", BIAS_REQUIRED, false},
    {WEIGHT_ATTENTION_NORM, "h.%zu.layernorm1", BIAS_REQUIRED, false},
    {WEIGHT_MLP_NORM, "h.%zu.layernorm2", BIAS_REQUIRED, false},
    {WEIGHT_QUERY, "h.%zu.multi_head_attention.Wq", BIAS_REQUIRED, false},
    {WEIGHT_KEY, "h.%zu.multi_head_attention.Wk", BIAS_REQUIRED, false},
    {WEIGHT_VALUE, "h.%zu.multi_head_attention.Wv", BIAS_REQUIRED, false},
    {WEIGHT_ATTENTION_OUT, "h.%zu.multi_head_attention.dense", BIAS_REQUIRED, false},
    {WEIGHT_MLP_UP, "h.%zu.ffn.0", BIAS_REQUIRED, false},
    {WEIGHT_MLP_DOWN, "h.%zu.ffn.2", BIAS_REQUIRED, false},
    NAMES_END,
};

static const char *const ignored_keys[] = {
    "from_tf",
    "n_ctx",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    NULL,
};

static void describe(struct config_reader *config, struct model_description *d) {
    d->vocabulary = config_size(config, "vocab_size", 246534, 1, MODEL_VOCABULARY_MAX);
    d->context =
        config_size_either(config, "n_positions", "max_position_embeddings", 256, 1, MODEL_CONTEXT_MAX);
    d->width = config_size_either(config, "n_embd", "hidden_size", 1280, 2, MODEL_WIDTH_MAX);
    d->layers = config_size_either(config, "n_layer", "num_hidden_layers", 48, 1, MODEL_LAYERS_MAX);
    d->heads = d->kv_heads =
        config_size_either(config, "n_head", "num_attention_heads", 16, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "n_head", d->width, d->heads);
    d->mlp_width = config_size(config, "dff", 8192, 1, MODEL_MLP_WIDTH_MAX);
    d->norm_eps = 1e-6;
    d->final_norm_eps = config_real(config, "layer_norm_epsilon", 1e-6, 0, 1);
    d->activation = ACTIVATION_RELU;
    d->position = POSITION_SINUSOIDAL_CTRL;
    d->embedding_scale = sqrt((double)d->width);
    d->tied = config_bool(config, "tie_word_embeddings", true);
    config_layers_init(config, d);
}

const struct family family_ctrl = {
    .model_type = "ctrl",
    .names = names,
    .prefix = "transformer.",
    .ignored_keys = ignored_keys,
    .describe = describe,
};
