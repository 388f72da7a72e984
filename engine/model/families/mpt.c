/* MPT (MosaicML 2023): sequential, ALiBi with slopes of its own order, norms without bias, no biases at all.
 * What only the original code honours and no reference covers is refused. */
#include "engine/model/families/conventions.h"

#define SCALE_MIN 1e-9

static const struct size_keys keys = {
    .context = {"max_seq_len", NULL},
    .width = {"d_model", "hidden_size"},
    .layers = {"n_layers", "num_hidden_layers"},
    .heads = {"n_heads", "num_attention_heads"},
};

static const struct weight_name names[] = {
    {WEIGHT_FINAL_NORM, "norm_f"},
    {WEIGHT_ATTENTION_NORM, "blocks.%zu.norm_1"},
    {WEIGHT_MLP_NORM, "blocks.%zu.norm_2"},
    {WEIGHT_QKV, "blocks.%zu.attn.Wqkv"},
    {WEIGHT_ATTENTION_OUT, "blocks.%zu.attn.out_proj"},
    {WEIGHT_MLP_UP, "blocks.%zu.ffn.up_proj"},
    {WEIGHT_MLP_DOWN, "blocks.%zu.ffn.down_proj"},
    NAMES_END,
};

static void describe_attention(struct config_reader *attention, struct model_description *d, double *scale) {
    config_choice(attention, "attn_type", "multihead_attention", TEXTS("multihead_attention"));
    config_demand_bool(attention, "alibi", true, true, NO_REFERENCE);
    config_demand_bool(attention, "prefix_lm", false, false, NO_REFERENCE);
    config_demand_bool(attention, "qk_ln", false, false, NO_REFERENCE);
    config_demand_bool(attention, "qk_gn", false, false, NO_REFERENCE);
    config_demand_bool(attention, "rope", false, false, NO_REFERENCE);
    config_demand_bool(attention, "attn_uses_sequence_id", false, false, NO_REFERENCE);
    config_demand_size(attention, "kv_n_heads", d->heads);
    if (config_real(attention, "sliding_window_size", -1, -1, MODEL_CONTEXT_MAX) != -1)
        config_refuse(attention, "sliding_window_size " NO_REFERENCE);
    d->alibi.bias_max = config_real(attention, "alibi_bias_max", 8, 1e-3, 1024);
    d->clip_qkv = config_real(attention, "clip_qkv", 0, 0, FACTOR_MAX);
    *scale = config_real(attention, "softmax_scale", *scale, SCALE_MIN, FACTOR_MAX);
    config_know(attention, TEXTS("attn_impl", "tie_word_embeddings"));
    config_know_generic(attention);
}

static void refuse_beyond_library(struct config_reader *config) {
    if (config_has(config, "logit_scale")) config_refuse(config, "logit_scale " NO_REFERENCE);
    config_demand_bool(config, "no_bias", true, true, NO_REFERENCE);
    config_choice(config, "norm_type", "low_precision_layernorm",
                  TEXTS("low_precision_layernorm", "layernorm"));
    config_demand_size(config, "expansion_ratio", 4);
}

/* The plain MLP is the only one that the library has; fc_type is the program that multiplies. */
static void describe_mlp(struct config_reader *config) {
    struct config_reader mlp;
    if (!config_object(config, "ffn_config", &mlp)) return;
    config_choice(&mlp, "ffn_type", "mptmlp", TEXTS("mptmlp"));
    config_know(&mlp, TEXTS("fc_type"));
    config_know_generic(&mlp);
    config_object_end(config, &mlp);
}

static void describe(struct config_reader *config, struct model_description *d) {
    d->activation = ACTIVATION_GELU;
    d->position = POSITION_ALIBI;
    d->alibi.kind = ALIBI_MPT;
    d->qkv_packing = QKV_CONCATENATED;
    refuse_beyond_library(config);
    describe_mlp(config);
}

static void describe_layers(struct config_reader *config, struct model_description *d) {
    struct config_reader attention;
    double scale = 0;
    if (config_object(config, "attn_config", &attention)) {
        describe_attention(&attention, d, &scale);
        config_object_end(config, &attention);
    }
    for (size_t i = 0; i < d->layers && scale > 0; i++) d->layer[i].attention_scale = scale;
}

const struct family family_mpt = {
    .model_type = "mpt",
    .prefix = "transformer.",
    .names = {names, names_gpt2},
    /* learned_pos_emb counts only without ALiBi, embedding_fraction and use_pad_tok_in_ffn only in training. */
    .ignored_keys =
        TEXTS("embedding_fraction", "emb_pdrop", "fc_type", "learned_pos_emb", "use_pad_tok_in_ffn"),
    .keys = &keys,
    .sizes = {.vocabulary = 50368, .context = 2048, .width = 2048, .layers = 24, .heads = 16},
    .mlp_width = {NULL, FOUR_WIDTHS},
    .norm_eps = {"layer_norm_epsilon", 1e-5},
    .tied = true,
    .tokens = {-1, -1, -1},
    .describe = describe,
    .describe_layers = describe_layers,
};
