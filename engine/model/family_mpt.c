/* MPT (MosaicML 2023): sequential, ALiBi with slopes of its own order, norms without bias, no biases at all.
 * What only the original code honours and no reference covers is refused. */
#include "engine/model/families.h"

#include <string.h>

#define CLIP_MAX  1e6
#define SCALE_MIN 1e-9
#define SCALE_MAX 1e6

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "wte", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "norm_f", BIAS_NONE, false},
    {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},
    {WEIGHT_ATTENTION_NORM, "blocks.%zu.norm_1", BIAS_NONE, false},
    {WEIGHT_MLP_NORM, "blocks.%zu.norm_2", BIAS_NONE, false},
    {WEIGHT_QKV, "blocks.%zu.attn.Wqkv", BIAS_NONE, false},
    {WEIGHT_ATTENTION_OUT, "blocks.%zu.attn.out_proj", BIAS_NONE, false},
    {WEIGHT_MLP_UP, "blocks.%zu.ffn.up_proj", BIAS_NONE, false},
    {WEIGHT_MLP_DOWN, "blocks.%zu.ffn.down_proj", BIAS_NONE, false},
    NAMES_END,
};

/* learned_pos_emb counts only without ALiBi, embedding_fraction only in training. */
static const char *const ignored_keys[] = {
    "embedding_fraction", "emb_pdrop",      "init_config", "init_device",
    "learned_pos_emb",    "tokenizer_name", "verbose",     NULL,
};

static const char *const ignored_attention_keys[] = {"attn_impl", NULL};

static void describe_attention(struct config_reader *attention, struct model_description *d, double *scale) {
    static const char *const types[] = {"multihead_attention", NULL};
    static const char *const why = "is not supported: no reference for it";
    config_choice(attention, "attn_type", "multihead_attention", types);
    config_demand_bool(attention, "alibi", true, true, why);
    config_demand_bool(attention, "prefix_lm", false, false, why);
    config_demand_bool(attention, "qk_ln", false, false, why);
    config_demand_bool(attention, "qk_gn", false, false, why);
    config_demand_bool(attention, "rope", false, false, why);
    config_demand_bool(attention, "attn_uses_sequence_id", false, false, why);
    config_demand_size(attention, "kv_n_heads", d->heads);
    if (config_real(attention, "sliding_window_size", -1, -1, MODEL_CONTEXT_MAX) != -1)
        config_refuse(attention, "sliding_window_size %s", why);
    d->alibi.bias_max = config_real(attention, "alibi_bias_max", 8, 1e-3, 1024);
    d->clip_qkv = config_real(attention, "clip_qkv", 0, 0, CLIP_MAX);
    *scale = config_real(attention, "softmax_scale", *scale, SCALE_MIN, SCALE_MAX);
    config_know(attention, ignored_attention_keys);
    config_know_generic(attention);
}

static void refuse_beyond_library(struct config_reader *config) {
    static const char *const norms[] = {"low_precision_layernorm", "layernorm", NULL};
    if (config_has(config, "logit_scale"))
        config_refuse(config, "logit_scale is not supported: no reference for it");
    if (config_has(config, "ffn_config"))
        config_refuse(config, "ffn_config is not supported: no reference for it");
    config_demand_bool(config, "no_bias", true, true, "is not supported: no reference for it");
    config_choice(config, "norm_type", "low_precision_layernorm", norms);
    config_demand_size(config, "expansion_ratio", 4);
}

static void describe(struct config_reader *config, struct model_description *d) {
    d->vocabulary = config_size(config, "vocab_size", 50368, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_seq_len", 2048, 1, MODEL_CONTEXT_MAX);
    d->width = config_size_either(config, "d_model", "hidden_size", 2048, 2, MODEL_WIDTH_MAX);
    d->layers = config_size_either(config, "n_layers", "num_hidden_layers", 24, 1, MODEL_LAYERS_MAX);
    d->heads = d->kv_heads =
        config_size_either(config, "n_heads", "num_attention_heads", 16, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "n_heads", d->width, d->heads);
    d->mlp_width = 4 * d->width;
    d->norm_eps = d->final_norm_eps = config_real(config, "layer_norm_epsilon", 1e-5, 0, 1);
    d->activation = ACTIVATION_GELU;
    d->position = POSITION_ALIBI;
    d->alibi.kind = ALIBI_MPT;
    d->qkv_packing = QKV_CONCATENATED;
    d->tied = config_bool(config, "tie_word_embeddings", true);
    refuse_beyond_library(config);

    struct config_reader attention;
    double scale = 0;
    if (config_object(config, "attn_config", &attention)) {
        describe_attention(&attention, d, &scale);
        config_object_end(config, &attention);
    }
    if (!config_layers_init(config, d)) return;
    for (size_t i = 0; i < d->layers && scale > 0; i++) d->layer[i].attention_scale = scale;
}

const struct family family_mpt = {
    .model_type = "mpt",
    .names = names,
    .prefix = "transformer.",
    .ignored_keys = ignored_keys,
    .describe = describe,
};
