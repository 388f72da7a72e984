/* GPT-Neo (Black et al. 2021): sequential, learned positions, attention without 1/sqrt(d), layers that see
 * all and layers that see a window in turn. */
#include "engine/model/families.h"

#include <string.h>

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "wte", BIAS_NONE, false},
    {WEIGHT_POSITION, "wpe", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "ln_f", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},
    {WEIGHT_ATTENTION_NORM, "h.%zu.ln_1", BIAS_REQUIRED, false},
    {WEIGHT_MLP_NORM, "h.%zu.ln_2", BIAS_REQUIRED, false},
    {WEIGHT_QUERY, "h.%zu.attn.attention.q_proj", BIAS_NONE, false},
    {WEIGHT_KEY, "h.%zu.attn.attention.k_proj", BIAS_NONE, false},
    {WEIGHT_VALUE, "h.%zu.attn.attention.v_proj", BIAS_NONE, false},
    {WEIGHT_ATTENTION_OUT, "h.%zu.attn.attention.out_proj", BIAS_REQUIRED, false},
    {WEIGHT_MLP_UP, "h.%zu.mlp.c_fc", BIAS_REQUIRED, false},
    {WEIGHT_MLP_DOWN, "h.%zu.mlp.c_proj", BIAS_REQUIRED, false},
    NAMES_END,
};

static const char *const buffers[] = {".attn.attention.bias", ".attn.attention.masked_bias", NULL};

static const char *const ignored_keys[] = {
    "summary_activation", "summary_first_dropout", "summary_proj_to_labels",
    "summary_type",       "summary_use_proj",      NULL,
};

/* The kind of one layer: "global" or "local". */
static void describe_layer(struct config_reader *config, struct model_description *d, size_t i,
                           const json_t *kind, size_t window) {
    const char *text = json_string_value(kind);
    bool local = text && strcmp(text, "local") == 0;
    if (!local && !(text && strcmp(text, "global") == 0))
        config_refuse(config, "attention_types: layer %zu is neither \"global\" nor \"local\"", i);
    else if (i < d->layers)
        d->layer[i].window = local ? window : 0;
}

/* attention_types is a list of [[kinds], times]; returns how many layers that makes. */
static size_t expand_types(struct config_reader *config, struct model_description *d, const json_t *types,
                           size_t window) {
    size_t layer = 0;
    for (size_t i = 0; i < json_array_size(types) && !config_failed(config); i++) {
        const json_t *kinds = json_array_get(json_array_get(types, i), 0);
        json_int_t times = json_integer_value(json_array_get(json_array_get(types, i), 1));
        if (!json_array_size(kinds) || times < 1 || times > MODEL_LAYERS_MAX) {
            config_refuse(config, "attention_types: entry %zu is not [[kinds], times]", i);
            break;
        }
        for (json_int_t t = 0; t < times && layer <= d->layers; t++)
            for (size_t k = 0; k < json_array_size(kinds) && layer <= d->layers; k++)
                describe_layer(config, d, layer++, json_array_get(kinds, k), window);
    }
    return layer;
}

/* attention_layers, the list written out, is what the library goes by where it is there. */
static void describe_windows(struct config_reader *config, struct model_description *d, size_t window) {
    const json_t *types = config_value(config, "attention_types"),
                 *layers = config_value(config, "attention_layers");
    size_t count = 0;
    if (layers) {
        count = json_array_size(layers);
        for (size_t i = 0; i < count && i < d->layers; i++)
            describe_layer(config, d, i, json_array_get(layers, i), window);
    } else if (types) {
        count = expand_types(config, d, types, window);
    } else {
        for (; count < d->layers; count++) d->layer[count].window = count % 2 ? window : 0;
    }
    if (count != d->layers)
        config_refuse(config, "%s does not make num_layers=%zu",
                      layers ? "attention_layers" : "attention_types", d->layers);
}

static void describe(struct config_reader *config, struct model_description *d) {
    d->vocabulary = config_size(config, "vocab_size", 50257, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_position_embeddings", 2048, 1, MODEL_CONTEXT_MAX);
    d->width = config_size(config, "hidden_size", 2048, 2, MODEL_WIDTH_MAX);
    d->layers = config_size_either(config, "num_layers", "num_hidden_layers", 24, 1, MODEL_LAYERS_MAX);
    d->heads = d->kv_heads =
        config_size_either(config, "num_heads", "num_attention_heads", 16, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "num_heads", d->width, d->heads);
    d->mlp_width = config_size(config, "intermediate_size", 4 * d->width, 1, MODEL_MLP_WIDTH_MAX);
    d->norm_eps = d->final_norm_eps = config_real(config, "layer_norm_epsilon", 1e-5, 0, 1);
    config_activation(config, "activation_function", "gelu_new", d);
    d->position = POSITION_LEARNED;
    d->tied = config_bool(config, "tie_word_embeddings", true);
    config_default_tokens(d, 50256, 50256, -1);

    size_t window = config_size(config, "window_size", 256, 1, MODEL_CONTEXT_MAX);
    if (!config_layers_init(config, d)) return;
    for (size_t i = 0; i < d->layers; i++) d->layer[i].attention_scale = 1;
    describe_windows(config, d, window);
}

const struct family family_gpt_neo = {
    .model_type = "gpt_neo",
    .names = names,
    .prefix = "transformer.",
    .buffers = buffers,
    .ignored_keys = ignored_keys,
    .describe = describe,
};
