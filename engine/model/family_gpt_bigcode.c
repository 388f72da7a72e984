/* GPT-BigCode (SantaCoder, StarCoder; Li et al. 2023): GPT-2 with [out, in] matrices and, as a rule, one
 * key/value head. */
#include "engine/model/families.h"

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "wte", BIAS_NONE, false},
    {WEIGHT_POSITION, "wpe", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "ln_f", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},
    {WEIGHT_ATTENTION_NORM, "h.%zu.ln_1", BIAS_REQUIRED, false},
    {WEIGHT_MLP_NORM, "h.%zu.ln_2", BIAS_REQUIRED, false},
    {WEIGHT_QKV, "h.%zu.attn.c_attn", BIAS_REQUIRED, false},
    {WEIGHT_ATTENTION_OUT, "h.%zu.attn.c_proj", BIAS_REQUIRED, false},
    {WEIGHT_MLP_UP, "h.%zu.mlp.c_fc", BIAS_REQUIRED, false},
    {WEIGHT_MLP_DOWN, "h.%zu.mlp.c_proj", BIAS_REQUIRED, false},
    NAMES_END,
};

static const char *const buffers[] = {".attn.bias", ".attn.masked_bias", "transformer.bias", NULL};

/* num_key_value_heads follows from multi_query; the rest is about precision, caches and classifiers. */
static const char *const ignored_keys[] = {
    "attention_softmax_in_fp32",
    "inference_runner",
    "max_batch_size",
    "max_sequence_length",
    "n_ctx",
    "num_key_value_heads",
    "pad_key_length",
    "pre_allocate_kv_cache",
    "reorder_and_upcast_attn",
    "scale_attention_softmax_in_fp32",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "validate_runner_input",
    NULL,
};

static void describe(struct config_reader *config, struct model_description *d) {
    d->vocabulary = config_size(config, "vocab_size", 50257, 1, MODEL_VOCABULARY_MAX);
    d->context =
        config_size_either(config, "n_positions", "max_position_embeddings", 1024, 1, MODEL_CONTEXT_MAX);
    d->width = config_size_either(config, "n_embd", "hidden_size", 768, 2, MODEL_WIDTH_MAX);
    d->layers = config_size_either(config, "n_layer", "num_hidden_layers", 12, 1, MODEL_LAYERS_MAX);
    d->heads = config_size_either(config, "n_head", "num_attention_heads", 12, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "n_head", d->width, d->heads);
    d->mlp_width = config_size(config, "n_inner", 4 * d->width, 1, MODEL_MLP_WIDTH_MAX);
    d->norm_eps = d->final_norm_eps = config_real(config, "layer_norm_epsilon", 1e-5, 0, 1);
    config_activation(config, "activation_function", "gelu_pytorch_tanh", d);
    d->position = POSITION_LEARNED;
    bool multi_query = config_bool(config, "multi_query", true);
    d->kv_heads = multi_query ? 1 : d->heads;
    d->qkv_packing = multi_query ? QKV_CONCATENATED : QKV_PER_HEAD;
    d->tied = config_bool(config, "tie_word_embeddings", true);
    config_demand_bool(config, "scale_attn_by_inverse_layer_idx", false, false,
                       "is not supported: no reference for it");
    config_default_tokens(d, 50256, 50256, -1);

    bool scaled = config_bool(config, "scale_attn_weights", true);
    if (!config_layers_init(config, d)) return;
    for (size_t i = 0; i < d->layers && !scaled; i++) d->layer[i].attention_scale = 1;
}

const struct family family_gpt_bigcode = {
    .model_type = "gpt_bigcode",
    .names = names,
    .prefix = "transformer.",
    .buffers = buffers,
    .ignored_keys = ignored_keys,
    .describe = describe,
};
