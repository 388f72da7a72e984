/* BLOOM (Le Scao et al. 2022): sequential, ALiBi, a norm behind the embedding, q, k, v of a head together. */
#include "engine/model/families.h"

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "word_embeddings", BIAS_NONE, false},
    {WEIGHT_EMBEDDING_NORM, "word_embeddings_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_FINAL_NORM, "ln_f", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},
    {WEIGHT_ATTENTION_NORM, "h.%zu.input_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_MLP_NORM, "h.%zu.post_attention_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_QKV, "h.%zu.self_attention.query_key_value", BIAS_REQUIRED, false},
    {WEIGHT_ATTENTION_OUT, "h.%zu.self_attention.dense", BIAS_REQUIRED, false},
    {WEIGHT_MLP_UP, "h.%zu.mlp.dense_h_to_4h", BIAS_REQUIRED, false},
    {WEIGHT_MLP_DOWN, "h.%zu.mlp.dense_4h_to_h", BIAS_REQUIRED, false},
    NAMES_END,
};

static const char *const ignored_keys[] = {
    "attention_softmax_in_fp32",
    "bias_dropout_fusion",
    "masked_softmax_fusion",
    "n_inner",
    "offset_alibi",
    "pretraining_tp",
    "skip_bias_add",
    "skip_bias_add_qkv",
    "slow_but_exact",
    NULL,
};

static void describe(struct config_reader *config, struct model_description *d) {
    d->vocabulary = config_size(config, "vocab_size", 250880, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "seq_length", 2048, 1, MODEL_CONTEXT_MAX);
    d->width = config_size_either(config, "n_embed", "hidden_size", 64, 2, MODEL_WIDTH_MAX);
    d->layers = config_size_either(config, "n_layer", "num_hidden_layers", 2, 1, MODEL_LAYERS_MAX);
    d->heads = d->kv_heads =
        config_size_either(config, "n_head", "num_attention_heads", 8, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "n_head", d->width, d->heads);
    d->mlp_width = 4 * d->width;
    d->norm_eps = d->final_norm_eps = d->embedding_norm_eps =
        config_real(config, "layer_norm_epsilon", 1e-5, 0, 1);
    d->activation = ACTIVATION_GELU_TANH;
    d->position = POSITION_ALIBI;
    d->alibi.kind = ALIBI_BLOOM;
    d->embedding_norm = true;
    d->qkv_packing = QKV_PER_HEAD;
    d->tied = config_bool(config, "tie_word_embeddings", true);
    config_demand_bool(config, "apply_residual_connection_post_layernorm", false, false,
                       "adds the norm's output to the branch: it is not Pre-LN");
    config_default_tokens(d, 1, 2, -1);
    config_layers_init(config, d);
}

const struct family family_bloom = {
    .model_type = "bloom",
    .names = names,
    .prefix = "transformer.",
    .ignored_keys = ignored_keys,
    .describe = describe,
};
