/* OPT (Zhang et al. 2022), Galactica: sequential, learned positions from row 2 on, embeddings that may be
 * narrower than the residual stream. The one member with Post-LN (350m) is refused. */
#include "engine/model/families/conventions.h"

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "decoder.embed_tokens"},
    {WEIGHT_POSITION, "decoder.embed_positions"},
    {WEIGHT_PROJECT_IN, "decoder.project_in"},
    {WEIGHT_PROJECT_OUT, "decoder.project_out"},
    {WEIGHT_FINAL_NORM, "decoder.final_layer_norm"},
    {WEIGHT_HEAD, "lm_head"},
    {WEIGHT_ATTENTION_NORM, "decoder.layers.%zu.self_attn_layer_norm"},
    {WEIGHT_MLP_NORM, "decoder.layers.%zu.final_layer_norm"},
    {WEIGHT_QUERY, "decoder.layers.%zu.self_attn.q_proj"},
    {WEIGHT_KEY, "decoder.layers.%zu.self_attn.k_proj"},
    {WEIGHT_VALUE, "decoder.layers.%zu.self_attn.v_proj"},
    {WEIGHT_ATTENTION_OUT, "decoder.layers.%zu.self_attn.out_proj"},
    {WEIGHT_MLP_UP, "decoder.layers.%zu.fc1"},
    {WEIGHT_MLP_DOWN, "decoder.layers.%zu.fc2"},
    NAMES_END,
};

static void describe_norms(struct config_reader *config, struct model_description *d) {
    config_demand_bool(config, "do_layer_norm_before", true, true,
                       "is Post-LN (its norms are on the residual stream): it has no Pre-CRMSNorm form");
    config_demand_bool(config, "_remove_final_layer_norm", false, false,
                       "leaves the head without a norm before it");
    d->norm_plain = !config_bool(config, "layer_norm_elementwise_affine", true);
    config_biases(d, !d->norm_plain, WEIGHTS_NORMS);
}

static void describe(struct config_reader *config, struct model_description *d) {
    d->embedding_width = config_size(config, "word_embed_proj_dim", d->width, 1, MODEL_WIDTH_MAX);
    d->position = POSITION_LEARNED;
    d->position_offset = 2;
    config_biases(d, config_bool(config, "enable_bias", true), WEIGHTS_LINEARS);
    describe_norms(config, d);
    /* Keys of Galactica's training code: with these values the library computes what they say. */
    config_demand_bool(config, "scale_embeddings", false, false, NO_REFERENCE);
    config_demand_bool(config, "learned_embeddings", true, true, NO_REFERENCE);
}

const struct family family_opt = {
    .model_type = "opt",
    .prefix = "model.",
    .names = {names, NULL},
    .buffers = TEXTS("decoder.version"),
    .keys = &keys_llama,
    .sizes = {.vocabulary = 50272, .context = 2048, .width = 768, .layers = 12, .heads = 12},
    .mlp_width = {"ffn_dim", 3072},
    .activation = {"activation_function", "relu"},
    .tied = true,
    .tokens = {2, 2, 1},
    .describe = describe,
};
