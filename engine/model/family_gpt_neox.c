/* GPT-NeoX (Black et al. 2022), Pythia: parallel with two norms, or sequential; partial rotary positions; q,
 * k, v of a head together. */
#include "engine/model/families.h"

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "embed_in", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "final_layer_norm", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "embed_out", BIAS_NONE, false},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.input_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_MLP_NORM, "layers.%zu.post_attention_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_QKV, "layers.%zu.attention.query_key_value", BIAS_REQUIRED, false},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.attention.dense", BIAS_REQUIRED, false},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.dense_h_to_4h", BIAS_REQUIRED, false},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.dense_4h_to_h", BIAS_REQUIRED, false},
    NAMES_END,
};

static const char *const buffers[] = {".attention.bias", ".attention.masked_bias", ROTARY_BUFFERS, NULL};

/* Copies of rotary_emb_base and rotary_pct that the library writes and does not read. */
static const char *const ignored_keys[] = {"rope_theta", "partial_rotary_factor", NULL};

static const struct rotary_keys rotary = {
    .theta = "rotary_emb_base",
    .theta_default = 10000,
    .fraction = "rotary_pct",
    .fraction_default = 0.25,
    .rounds_up = true,
};

static void describe(struct config_reader *config, struct model_description *d) {
    static const enum weight attention[] = {WEIGHT_QKV, WEIGHT_ATTENTION_OUT, WEIGHT_COUNT};
    d->vocabulary = config_size(config, "vocab_size", 50432, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_position_embeddings", 2048, 1, MODEL_CONTEXT_MAX);
    d->width = config_size(config, "hidden_size", 6144, 2, MODEL_WIDTH_MAX);
    d->layers = config_size(config, "num_hidden_layers", 44, 1, MODEL_LAYERS_MAX);
    d->heads = d->kv_heads = config_size(config, "num_attention_heads", 64, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "num_attention_heads", d->width, d->heads);
    config_demand_size(config, "head_dim", d->head_dim);
    d->mlp_width = config_size(config, "intermediate_size", 24576, 1, MODEL_MLP_WIDTH_MAX);
    d->norm_eps = d->final_norm_eps = config_real(config, "layer_norm_eps", 1e-5, 0, 1);
    config_activation(config, "hidden_act", "gelu", d);
    config_rotary(config, &rotary, d);
    d->residual = config_bool(config, "use_parallel_residual", true) ? RESIDUAL_PARALLEL_TWO_NORMS
                                                                     : RESIDUAL_SEQUENTIAL;
    d->qkv_packing = QKV_PER_HEAD;
    d->tied = config_bool(config, "tie_word_embeddings", false);
    config_biases(d, config_bool(config, "attention_bias", true), attention);
    config_default_tokens(d, 0, 2, -1);
    config_layers_init(config, d);
}

const struct family family_gpt_neox = {
    .model_type = "gpt_neox",
    .names = names,
    .prefix = "gpt_neox.",
    .buffers = buffers,
    .ignored_keys = ignored_keys,
    .describe = describe,
};
