/* XGLM (Lin et al. 2021): sequential, sinusoidal positions from 2 on, embeddings times sqrt(d). Its norms
 * have an epsilon of 1e-5 that no key changes. */
#include "engine/model/families.h"

#include <math.h>

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "embed_tokens", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "layer_norm", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.self_attn_layer_norm", BIAS_REQUIRED, false},
    {WEIGHT_MLP_NORM, "layers.%zu.final_layer_norm", BIAS_REQUIRED, false},
    {WEIGHT_QUERY, "layers.%zu.self_attn.q_proj", BIAS_REQUIRED, false},
    {WEIGHT_KEY, "layers.%zu.self_attn.k_proj", BIAS_REQUIRED, false},
    {WEIGHT_VALUE, "layers.%zu.self_attn.v_proj", BIAS_REQUIRED, false},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.self_attn.out_proj", BIAS_REQUIRED, false},
    {WEIGHT_MLP_UP, "layers.%zu.fc1", BIAS_REQUIRED, false},
    {WEIGHT_MLP_DOWN, "layers.%zu.fc2", BIAS_REQUIRED, false},
    NAMES_END,
};

static const char *const buffers[] = {"embed_positions.weights", NULL};

/* The library zeroes the sinusoids of the row pad_token_id, which positions from 2 on reach unless it is 0
 * or 1. */
static void refuse_zeroed_position(struct config_reader *config, const struct model_description *d) {
    const json_t *pad = config_value(config, "pad_token_id");
    json_int_t row = json_is_integer(pad) ? json_integer_value(pad) : 0;
    if (row >= (json_int_t)d->position_offset && (size_t)row < d->context + d->position_offset)
        config_refuse(config, "pad_token_id=%lld takes away the embedding of a position: expected 0 or 1",
                      (long long)row);
}

static void describe(struct config_reader *config, struct model_description *d) {
    d->vocabulary = config_size(config, "vocab_size", 256008, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_position_embeddings", 2048, 1, MODEL_CONTEXT_MAX);
    d->width = config_size_either(config, "d_model", "hidden_size", 1024, 4, MODEL_WIDTH_MAX);
    d->layers = config_size_either(config, "num_layers", "num_hidden_layers", 24, 1, MODEL_LAYERS_MAX);
    d->heads = d->kv_heads =
        config_size_either(config, "attention_heads", "num_attention_heads", 16, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "attention_heads", d->width, d->heads);
    d->mlp_width = config_size(config, "ffn_dim", 4096, 1, MODEL_MLP_WIDTH_MAX);
    config_activation(config, "activation_function", "gelu", d);
    d->position = POSITION_SINUSOIDAL_HALVES;
    d->position_offset = 2;
    d->embedding_scale = config_bool(config, "scale_embedding", true) ? sqrt((double)d->width) : 1;
    d->tied = config_bool(config, "tie_word_embeddings", true);
    refuse_zeroed_position(config, d);
    config_default_tokens(d, 0, 2, 1);
    config_layers_init(config, d);
}

const struct family family_xglm = {
    .model_type = "xglm",
    .names = names,
    .prefix = "model.",
    .buffers = buffers,
    .describe = describe,
};
