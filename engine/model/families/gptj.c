/* GPT-J (Wang & Komatsuzaki 2021): parallel with one norm, interleaved partial rotary positions, a head with a bias.
 * CodeGen (Nijkamp et al. 2022): the same with q, k, v fused in 4 blocks, one a core of the machine it was trained
 * on. */
#include "engine/model/families/conventions.h"

#define CODEGEN_BLOCKS 4 /* whatever the config says */

static const struct weight_name names[] = {
    {WEIGHT_QKV, "h.%zu.attn.qkv_proj"}, /* of CodeGen; the next three of GPT-J */
    {WEIGHT_QUERY, "h.%zu.attn.q_proj"},
    {WEIGHT_KEY, "h.%zu.attn.k_proj"},
    {WEIGHT_VALUE, "h.%zu.attn.v_proj"},
    {WEIGHT_ATTENTION_OUT, "h.%zu.attn.out_proj"},
    {WEIGHT_MLP_UP, "h.%zu.mlp.fc_in"},
    {WEIGHT_MLP_DOWN, "h.%zu.mlp.fc_out"},
    NAMES_END,
};

static void describe_gptj(struct config_reader *config, struct model_description *d) {
    config_demand_bool(config, "rotary", true, true, NO_REFERENCE);
    config_demand_bool(config, "scale_attn_weights", true, true, NO_REFERENCE);
    config_refuse_null(config, "rotary_dim");
    d->position = POSITION_ROTARY;
    d->rotary.interleaved = true;
    d->rotary.dimensions = config_size(config, "rotary_dim", 64, 2, MODEL_HEAD_DIM_MAX);
    d->residual = RESIDUAL_PARALLEL_ONE_NORM;
}

static void describe_codegen(struct config_reader *config, struct model_description *d) {
    if (d->heads % CODEGEN_BLOCKS)
        config_refuse(config, "n_head=%zu is not a multiple of %d", d->heads, CODEGEN_BLOCKS);
    describe_gptj(config, d);
    d->qkv_packing = QKV_CODEGEN;
}

#define LIKE_GPTJ                                                                                            \
    LIKE_GPT2, .names.own = names, .biases = WEIGHTS_NORMS | WEIGHTS_MLP | WEIGHT_BIT(HEAD),                 \
               .sizes = {.vocabulary = 50400, .context = 2048, .width = 4096, .layers = 28, .heads = 16},    \
               .tied = false

const struct family family_gptj = {
    .model_type = "gptj",
    LIKE_GPTJ,
    .buffers = TEXTS(ATTENTION_BUFFERS, ".attn.embed_positions"),
    .describe = describe_gptj,
};

const struct family family_codegen = {
    .model_type = "codegen",
    LIKE_GPTJ,
    .buffers = TEXTS(ATTENTION_BUFFERS, ".attn.causal_mask", ".attn.embed_positions"),
    .describe = describe_codegen,
};
