/* BLOOM (Le Scao et al. 2022): sequential, ALiBi, a norm behind the embedding, q, k, v of a head together. */
#include "engine/model/families/conventions.h"

static const struct size_keys keys = {
    .context = {"seq_length", NULL},
    .width = {"n_embed", "hidden_size"},
    .layers = {"n_layer", "num_hidden_layers"},
    .heads = {"n_head", "num_attention_heads"},
};

static void describe(struct config_reader *config, struct model_description *d) {
    d->activation = ACTIVATION_GELU_TANH;
    d->position = POSITION_ALIBI;
    d->alibi.kind = ALIBI_BLOOM;
    d->embedding_norm = true;
    d->qkv_packing = QKV_PER_HEAD;
    refuse_residual_behind_norm(config);
}

const struct family family_bloom = {
    .model_type = "bloom",
    .prefix = "transformer.",
    .names = {NULL, names_bloom},
    .biases = WEIGHT_BIT(EMBEDDING_NORM) | WEIGHTS_NORMS | WEIGHTS_LINEARS,
    .ignored_keys = TEXTS("bias_dropout_fusion", "masked_softmax_fusion", "n_inner", "offset_alibi",
                          "skip_bias_add", "skip_bias_add_qkv", "slow_but_exact"),
    .keys = &keys,
    .sizes = {.vocabulary = 250880, .context = 2048, .width = 64, .layers = 2, .heads = 8},
    .mlp_width = {NULL, FOUR_WIDTHS},
    .norm_eps = {"layer_norm_epsilon", 1e-5},
    .tied = true,
    .tokens = {1, 2, -1},
    .describe = describe,
};
