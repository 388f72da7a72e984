#include "engine/model/config_sizes.h"

#include <string.h>

static size_t read_size(struct config_reader *r, struct size_key key, size_t fallback, size_t min,
                        size_t max) {
    if (fallback == 0) return config_size_required(r, key.key, min, max);
    if (!key.other) return config_size(r, key.key, fallback, min, max);
    return config_size_either(r, key.key, key.other, fallback, min, max);
}

static size_t read_setting(struct config_reader *r, struct size_setting s, size_t max) {
    return s.key ? read_size(r, (struct size_key){s.key, NULL}, s.fallback, 1, max) : s.fallback;
}

static size_t read_kv_heads(struct config_reader *r, const struct family *family, size_t heads) {
    struct size_setting s = family->kv_heads;
    if (s.fallback == 0) s.fallback = heads;
    return read_setting(r, s, MODEL_HEADS_MAX);
}

static size_t read_mlp_width(struct config_reader *r, const struct family *family, size_t width) {
    struct size_setting s = family->mlp_width;
    if (s.fallback == FOUR_WIDTHS) s.fallback = 4 * width;
    return read_setting(r, s, MODEL_MLP_WIDTH_MAX);
}

/* width / heads, or what the key head_dim says where it may differ. */
static size_t read_head_dim(struct config_reader *r, const struct family *family,
                            const struct model_description *d) {
    if (family->head_dim == HEAD_DIM_FREE && config_has(r, "head_dim"))
        return config_size(r, "head_dim", 1, 1, MODEL_HEAD_DIM_MAX);
    if (family->head_dim_default) {
        config_refuse_null(r, "head_dim");
        return family->head_dim_default;
    }
    if (d->width % d->heads)
        config_refuse(r, "%s=%zu does not divide the width %zu", family->keys->heads.key, d->heads, d->width);
    if (family->head_dim == HEAD_DIM_EQUAL) config_demand_size(r, "head_dim", d->width / d->heads);
    return d->width / d->heads;
}

static void read_activation(struct config_reader *r, struct text_setting s, struct model_description *d) {
    if (!s.key) return;
    const char *name = config_text(r, s.key, s.fallback);
    if (!activation_from_name(name, &d->activation))
        config_refuse(r, "%s=\"%.40s\" is not supported", s.key, name);
}

static void set_tokens(struct model_description *d, struct default_tokens tokens) {
    d->bos = tokens.bos;
    d->pad = tokens.pad;
    d->end_count = tokens.end >= 0;
    d->end_tokens[0] = tokens.end;
}

void config_sizes(struct config_reader *r, const struct family *family, struct model_description *d) {
    const struct size_keys *keys = family->keys;
    const struct size_defaults *sizes = &family->sizes;
    static const struct size_key vocabulary = {"vocab_size", NULL};
    d->vocabulary = read_size(r, vocabulary, sizes->vocabulary, 1, MODEL_VOCABULARY_MAX);
    d->context = read_size(r, keys->context, sizes->context, 1, MODEL_CONTEXT_MAX);
    d->width =
        read_size(r, keys->width, sizes->width, sizes->width_min ? sizes->width_min : 2, MODEL_WIDTH_MAX);
    d->layers = read_size(r, keys->layers, sizes->layers, 1, MODEL_LAYERS_MAX);
    d->heads = read_size(r, keys->heads, sizes->heads, 1, MODEL_HEADS_MAX);
    d->kv_heads = read_kv_heads(r, family, d->heads);
    d->head_dim = read_head_dim(r, family, d);
    d->mlp_width = read_mlp_width(r, family, d->width);
    if (family->norm_eps.key)
        d->norm_eps = d->final_norm_eps = d->qk_norm_eps = d->embedding_norm_eps =
            config_real(r, family->norm_eps.key, family->norm_eps.fallback, 0, 1);
    read_activation(r, family->activation, d);
    if (family->rotary.theta) config_rotary(r, &family->rotary, d);
    d->tied = config_bool(r, "tie_word_embeddings", family->tied);
    config_biases(d, true, family->biases);
    set_tokens(d, family->tokens);
}

void config_biases(struct model_description *d, bool present, uint32_t weights) {
    for (unsigned i = 0; i < WEIGHT_COUNT; i++)
        if (weights >> i & 1) d->bias[i] = present ? BIAS_REQUIRED : BIAS_NONE;
}

static bool is_sliding(struct config_reader *r, const json_t *type) {
    const char *text = json_string_value(type);
    bool sliding = text && strcmp(text, "sliding_attention") == 0;
    if (!sliding && !(text && strcmp(text, "full_attention") == 0))
        config_refuse(r,
                      "layer_types holds something other than \"sliding_attention\" and \"full_attention\"");
    return sliding;
}

void config_layer_windows(struct config_reader *r, struct model_description *d, size_t window,
                          size_t period) {
    const json_t *types = config_value(r, "layer_types");
    if (types && json_array_size(types) != d->layers)
        config_refuse(r, "layer_types does not make num_hidden_layers=%zu", d->layers);
    for (size_t i = 0; i < d->layers && !config_failed(r); i++) {
        bool sliding = types ? is_sliding(r, json_array_get(types, i)) : (i + 1) % period != 0;
        if (sliding && window == 0)
            config_refuse(r, "layer_types has sliding_attention, and there is no sliding_window");
        d->layer[i].window = sliding ? window : 0;
    }
}
