/* CodeGen (Nijkamp et al. 2022): GPT-J with q, v, k fused in 4 blocks, one a core of the machine it was
 * trained on. */
#include "engine/model/families/conventions.h"

#define BLOCKS 4 /* whatever the config says */

static const struct weight_name names[] = {
    {WEIGHT_QKV, "h.%zu.attn.qkv_proj"},
    {WEIGHT_ATTENTION_OUT, "h.%zu.attn.out_proj"},
    {WEIGHT_MLP_UP, "h.%zu.mlp.fc_in"},
    {WEIGHT_MLP_DOWN, "h.%zu.mlp.fc_out"},
    NAMES_END,
};

static void describe(struct config_reader *config, struct model_description *d) {
    if (d->heads % BLOCKS) config_refuse(config, "n_head=%zu is not a multiple of %d", d->heads, BLOCKS);
    describe_gptj_block(config, d);
    d->qkv_packing = QKV_CODEGEN;
}

const struct family family_codegen = {
    .model_type = "codegen",
    .prefix = "transformer.",
    .names = {names, names_gpt2},
    .biases = WEIGHTS_NORMS | WEIGHTS_MLP | WEIGHT_BIT(HEAD),
    .buffers = TEXTS(ATTENTION_BUFFERS, ".attn.causal_mask", ".attn.embed_positions"),
    .ignored_keys = TEXTS("n_ctx", KEYS_SUMMARY),
    .keys = &keys_gpt2,
    .sizes = {.vocabulary = 50400, .context = 2048, .width = 4096, .layers = 28, .heads = 16},
    .mlp_width = {"n_inner", FOUR_WIDTHS},
    .norm_eps = {"layer_norm_epsilon", 1e-5},
    .activation = {"activation_function", "gelu_new"},
    .tokens = {50256, 50256, -1},
    .describe = describe,
};
