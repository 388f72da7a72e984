/* GPT-Neo (Black et al. 2021): sequential, learned positions, attention without 1/sqrt(d), layers that see
 * all and layers that see a window in turn. */
#include "engine/model/families/conventions.h"

#include <string.h>

static const struct size_keys keys = {
    .context = {"max_position_embeddings", NULL},
    .width = {"hidden_size", NULL},
    .layers = {"num_layers", "num_hidden_layers"},
    .heads = {"num_heads", "num_attention_heads"},
};

static const struct weight_name names[] = {
    {WEIGHT_QUERY, "h.%zu.attn.attention.q_proj"},
    {WEIGHT_KEY, "h.%zu.attn.attention.k_proj"},
    {WEIGHT_VALUE, "h.%zu.attn.attention.v_proj"},
    {WEIGHT_ATTENTION_OUT, "h.%zu.attn.attention.out_proj"},
    NAMES_END,
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
    (void)config;
    d->position = POSITION_LEARNED;
}

static void describe_layers(struct config_reader *config, struct model_description *d) {
    size_t window = config_size(config, "window_size", 256, 1, MODEL_CONTEXT_MAX);
    for (size_t i = 0; i < d->layers; i++) d->layer[i].attention_scale = 1;
    describe_windows(config, d, window);
}

const struct family family_gpt_neo = {
    .model_type = "gpt_neo",
    LIKE_GPT2,
    .names.own = names,
    .biases = WEIGHTS_NORMS | WEIGHTS_MLP | WEIGHT_BIT(ATTENTION_OUT),
    .buffers = TEXTS(".attn.attention.bias", ".attn.attention.masked_bias"),
    .ignored_keys = TEXTS(KEYS_SUMMARY),
    .keys = &keys,
    .sizes = {.vocabulary = 50257, .context = 2048, .width = 2048, .layers = 24, .heads = 16},
    .mlp_width.key = "intermediate_size",
    .describe = describe,
    .describe_layers = describe_layers,
};
