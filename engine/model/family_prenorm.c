/* The format for the norm placements of the literature, in which researchers export what they trained (README, "Norm
 * placements"): plain names, [out, in] matrices, norm_placement in the config. */
#include "engine/model/families.h"

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "embed_tokens", BIAS_NONE, false},
    {WEIGHT_POSITION, "embed_positions", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "final_norm", BIAS_OPTIONAL, false},
    {WEIGHT_HEAD, "lm_head", BIAS_OPTIONAL, false},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.attn_norm", BIAS_OPTIONAL, false},
    {WEIGHT_MLP_NORM, "layers.%zu.mlp_norm", BIAS_OPTIONAL, false},
    {WEIGHT_QUERY, "layers.%zu.attn.q_proj", BIAS_OPTIONAL, false},
    {WEIGHT_KEY, "layers.%zu.attn.k_proj", BIAS_OPTIONAL, false},
    {WEIGHT_VALUE, "layers.%zu.attn.v_proj", BIAS_OPTIONAL, false},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.attn.out_proj", BIAS_OPTIONAL, false},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.fc1", BIAS_OPTIONAL, false},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.fc2", BIAS_OPTIONAL, false},
    {0, NULL, 0, false},
};

static const char *const placements[] = {"pre", "post", "deepnorm", "sandwich", "sub_ln", "normformer", "residual_dual", NULL};

static void describe_positions(struct config_reader *config, struct model_description *d) {
    static const char *const kinds[] = {"learned", "rotary", NULL};
    double theta = config_real(config, "rope_theta", 10000, 1, 1e12);
    if (config_choice(config, "position_embedding_type", "learned", kinds) == 0) {
        d->position = POSITION_LEARNED;
        return;
    }
    d->position = POSITION_ROTARY;
    d->rotary.dimensions = d->head_dim;
    d->rotary.theta = theta;
    if (d->head_dim % 2) config_refuse(config, "rotary positions need an even head dimension, found %zu", d->head_dim);
}

static void describe_placement(struct config_reader *config, struct model_description *d) {
    static const char *const norm_types[] = {"layernorm", "rmsnorm", NULL};
    d->norm_type = config_choice(config, "norm_type", "layernorm", norm_types) ? NORM_TYPE_RMSNORM : NORM_TYPE_LAYERNORM;
    d->placement = (enum norm_placement)config_choice(config, "norm_placement", "pre", placements);
    if (d->placement != PLACEMENT_PRE)
        config_refuse(config, "norm_placement=%s is not supported yet; supported: pre", placement_name(d->placement));
    if (d->norm_type != NORM_TYPE_LAYERNORM)
        config_refuse(config, "norm_type=rmsnorm is not supported yet; supported: layernorm");
    config_demand_bool(config, "gpas", false, false, "is not supported yet");
}

static void describe(struct config_reader *config, struct model_description *d) {
    d->vocabulary = config_size_required(config, "vocab_size", 1, MODEL_VOCABULARY_MAX);
    d->width = config_size_required(config, "hidden_size", 2, MODEL_WIDTH_MAX);
    d->mlp_width = config_size_required(config, "intermediate_size", 1, MODEL_MLP_WIDTH_MAX);
    d->heads = d->kv_heads = config_size_required(config, "num_attention_heads", 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "num_attention_heads", d->width, d->heads);
    d->layers = config_size_required(config, "num_hidden_layers", 1, MODEL_LAYERS_MAX);
    d->context = config_size_required(config, "max_position_embeddings", 1, MODEL_CONTEXT_MAX);
    d->norm_eps = d->final_norm_eps = config_real(config, "layer_norm_eps", 1e-5, 0, 1);
    d->tied = config_bool(config, "tie_word_embeddings", true);
    config_activation(config, "hidden_act", "gelu_new", d);
    describe_positions(config, d);
    describe_placement(config, d);
    config_layers_init(config, d);
}

const struct family family_prenorm = {
    .model_type = "prenorm",
    .names = names,
    .prefix = "",
    .describe = describe,
};
