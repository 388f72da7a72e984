/* OPT (Zhang et al. 2022), Galactica: sequential, learned positions from row 2 on, embeddings that may be
 * narrower than the branch. The one member with Post-LN (350m) is refused. */
#include "engine/model/families.h"

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "decoder.embed_tokens", BIAS_NONE, false},
    {WEIGHT_POSITION, "decoder.embed_positions", BIAS_NONE, false},
    {WEIGHT_PROJECT_IN, "decoder.project_in", BIAS_NONE, false},
    {WEIGHT_PROJECT_OUT, "decoder.project_out", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "decoder.final_layer_norm", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},
    {WEIGHT_ATTENTION_NORM, "decoder.layers.%zu.self_attn_layer_norm", BIAS_REQUIRED, false},
    {WEIGHT_MLP_NORM, "decoder.layers.%zu.final_layer_norm", BIAS_REQUIRED, false},
    {WEIGHT_QUERY, "decoder.layers.%zu.self_attn.q_proj", BIAS_REQUIRED, false},
    {WEIGHT_KEY, "decoder.layers.%zu.self_attn.k_proj", BIAS_REQUIRED, false},
    {WEIGHT_VALUE, "decoder.layers.%zu.self_attn.v_proj", BIAS_REQUIRED, false},
    {WEIGHT_ATTENTION_OUT, "decoder.layers.%zu.self_attn.out_proj", BIAS_REQUIRED, false},
    {WEIGHT_MLP_UP, "decoder.layers.%zu.fc1", BIAS_REQUIRED, false},
    {WEIGHT_MLP_DOWN, "decoder.layers.%zu.fc2", BIAS_REQUIRED, false},
    NAMES_END,
};

static const char *const buffers[] = {"decoder.version", NULL};

static void describe_norms(struct config_reader *config, struct model_description *d) {
    static const enum weight norms[] = {WEIGHT_FINAL_NORM, WEIGHT_ATTENTION_NORM, WEIGHT_MLP_NORM,
                                        WEIGHT_COUNT};
    config_demand_bool(config, "do_layer_norm_before", true, true,
                       "is Post-LN (the norm stands on the main branch): it has no Pre-CRMSNorm form");
    config_demand_bool(config, "_remove_final_layer_norm", false, false,
                       "leaves the head without a norm before it");
    d->norm_plain = !config_bool(config, "layer_norm_elementwise_affine", true);
    config_biases(d, !d->norm_plain, norms);
}

/* Keys of Galactica's training code: with these values the library computes what they say. */
static void refuse_beyond_library(struct config_reader *config) {
    config_demand_bool(config, "scale_embeddings", false, false, "is not supported: no reference for it");
    config_demand_bool(config, "learned_embeddings", true, true, "is not supported: no reference for it");
}

static void describe(struct config_reader *config, struct model_description *d) {
    static const enum weight linears[] = {WEIGHT_QUERY,  WEIGHT_KEY,      WEIGHT_VALUE, WEIGHT_ATTENTION_OUT,
                                          WEIGHT_MLP_UP, WEIGHT_MLP_DOWN, WEIGHT_COUNT};
    d->vocabulary = config_size(config, "vocab_size", 50272, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_position_embeddings", 2048, 1, MODEL_CONTEXT_MAX);
    d->width = config_size(config, "hidden_size", 768, 2, MODEL_WIDTH_MAX);
    d->embedding_width = config_size(config, "word_embed_proj_dim", d->width, 1, MODEL_WIDTH_MAX);
    d->layers = config_size(config, "num_hidden_layers", 12, 1, MODEL_LAYERS_MAX);
    d->heads = d->kv_heads = config_size(config, "num_attention_heads", 12, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "num_attention_heads", d->width, d->heads);
    d->mlp_width = config_size(config, "ffn_dim", 3072, 1, MODEL_MLP_WIDTH_MAX);
    config_activation(config, "activation_function", "relu", d);
    d->position = POSITION_LEARNED;
    d->position_offset = 2;
    d->tied = config_bool(config, "tie_word_embeddings", true);
    config_biases(d, config_bool(config, "enable_bias", true), linears);
    describe_norms(config, d);
    refuse_beyond_library(config);
    config_default_tokens(d, 2, 2, 1);
    config_layers_init(config, d);
}

const struct family family_opt = {
    .model_type = "opt",
    .names = names,
    .prefix = "model.",
    .buffers = buffers,
    .describe = describe,
};
