/* BioGPT (Luo et al. 2022): sequential, learned positions from row 2 on, embeddings times sqrt(d). Its norms
 * have an epsilon of 1e-5: the library never reads the layer_norm_eps of its config. */
#include "engine/model/families.h"

#include <math.h>

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "embed_tokens", BIAS_NONE, false},
    {WEIGHT_POSITION, "embed_positions", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "layer_norm", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "output_projection", BIAS_NONE, false},
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

static const char *const ignored_keys[] = {"layer_norm_eps", NULL};

static void describe(struct config_reader *config, struct model_description *d) {
    d->vocabulary = config_size(config, "vocab_size", 42384, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_position_embeddings", 1024, 1, MODEL_CONTEXT_MAX);
    d->width = config_size(config, "hidden_size", 1024, 2, MODEL_WIDTH_MAX);
    d->layers = config_size(config, "num_hidden_layers", 24, 1, MODEL_LAYERS_MAX);
    d->heads = d->kv_heads = config_size(config, "num_attention_heads", 16, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "num_attention_heads", d->width, d->heads);
    d->mlp_width = config_size(config, "intermediate_size", 4096, 1, MODEL_MLP_WIDTH_MAX);
    config_activation(config, "hidden_act", "gelu", d);
    d->position = POSITION_LEARNED;
    d->position_offset = 2;
    d->embedding_scale = config_bool(config, "scale_embedding", true) ? sqrt((double)d->width) : 1;
    d->tied = config_bool(config, "tie_word_embeddings", true);
    config_default_tokens(d, 0, 2, 1);
    config_layers_init(config, d);
}

const struct family family_biogpt = {
    .model_type = "biogpt",
    .names = names,
    .prefix = "biogpt.",
    .ignored_keys = ignored_keys,
    .describe = describe,
};
