/* CodeGen (Nijkamp et al. 2022): GPT-J with q, v, k fused in 4 blocks, one a core of the machine it was
 * trained on. */
#include "engine/model/families.h"

#define BLOCKS 4 /* whatever the config says */

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "wte", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "ln_f", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "lm_head", BIAS_REQUIRED, false},
    {WEIGHT_ATTENTION_NORM, "h.%zu.ln_1", BIAS_REQUIRED, false},
    {WEIGHT_QKV, "h.%zu.attn.qkv_proj", BIAS_NONE, false},
    {WEIGHT_ATTENTION_OUT, "h.%zu.attn.out_proj", BIAS_NONE, false},
    {WEIGHT_MLP_UP, "h.%zu.mlp.fc_in", BIAS_REQUIRED, false},
    {WEIGHT_MLP_DOWN, "h.%zu.mlp.fc_out", BIAS_REQUIRED, false},
    NAMES_END,
};

static const char *const buffers[] = {".attn.causal_mask", ".attn.bias", ".attn.masked_bias",
                                      ".attn.embed_positions", NULL};

static const char *const ignored_keys[] = {
    "n_ctx",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    NULL,
};

static void describe(struct config_reader *config, struct model_description *d) {
    d->vocabulary = config_size(config, "vocab_size", 50400, 1, MODEL_VOCABULARY_MAX);
    d->context =
        config_size_either(config, "n_positions", "max_position_embeddings", 2048, 1, MODEL_CONTEXT_MAX);
    d->width = config_size_either(config, "n_embd", "hidden_size", 4096, 2, MODEL_WIDTH_MAX);
    d->layers = config_size_either(config, "n_layer", "num_hidden_layers", 28, 1, MODEL_LAYERS_MAX);
    d->heads = d->kv_heads =
        config_size_either(config, "n_head", "num_attention_heads", 16, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "n_head", d->width, d->heads);
    if (d->heads % BLOCKS) config_refuse(config, "n_head=%zu is not a multiple of %d", d->heads, BLOCKS);
    d->mlp_width = config_size(config, "n_inner", 4 * d->width, 1, MODEL_MLP_WIDTH_MAX);
    d->norm_eps = d->final_norm_eps = config_real(config, "layer_norm_epsilon", 1e-5, 0, 1);
    config_activation(config, "activation_function", "gelu_new", d);
    config_demand_bool(config, "rotary", true, true, "is not supported: no reference for it");
    config_demand_bool(config, "scale_attn_weights", true, true, "is not supported: no reference for it");
    config_refuse_null(config, "rotary_dim");
    d->position = POSITION_ROTARY;
    d->rotary.interleaved = true;
    d->rotary.dimensions = config_size(config, "rotary_dim", 64, 2, MODEL_HEAD_DIM_MAX);
    d->residual = RESIDUAL_PARALLEL_ONE_NORM;
    d->qkv_packing = QKV_CODEGEN;
    d->tied = config_bool(config, "tie_word_embeddings", false);
    config_default_tokens(d, 50256, 50256, -1);
    config_layers_init(config, d);
}

const struct family family_codegen = {
    .model_type = "codegen",
    .names = names,
    .prefix = "transformer.",
    .buffers = buffers,
    .ignored_keys = ignored_keys,
    .describe = describe,
};
