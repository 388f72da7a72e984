/* The format for the norm placements of the literature, in which researchers export what they trained
 * (docs/models.md, "Norm placements"): plain names, [out, in] matrices, norm_placement in the config. */
#include "engine/model/families/conventions.h"

#include <math.h>

static const struct weight_name names[] = {
    {WEIGHT_FINAL_NORM, "final_norm"},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.attn_norm"},
    {WEIGHT_MLP_NORM, "layers.%zu.mlp_norm"},
    {WEIGHT_QUERY, "layers.%zu.attn.q_proj"},
    {WEIGHT_KEY, "layers.%zu.attn.k_proj"},
    {WEIGHT_VALUE, "layers.%zu.attn.v_proj"},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.attn.out_proj"},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.fc1"},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.fc2"},
    {WEIGHT_ATTENTION_INNER_NORM, "layers.%zu.attn.inner_norm"},
    {WEIGHT_MLP_INNER_NORM, "layers.%zu.mlp.inner_norm"},
    {WEIGHT_ATTENTION_POST_NORM, "layers.%zu.attn_post_norm"},
    {WEIGHT_MLP_POST_NORM, "layers.%zu.mlp_post_norm"},
    {WEIGHT_HEAD_SCALE, "layers.%zu.attn.head_scale"},
    {WEIGHT_RESIDUAL_SCALE, "layers.%zu.mlp.residual_scale"},
    {WEIGHT_GATE, "layers.%zu.gate"},
    NAMES_END,
};

static const char *const placements[] = {"pre",        "post",          "deepnorm", "sandwich", "sub_ln",
                                         "normformer", "residual_dual", "output",   NULL};

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
    if (d->head_dim % 2)
        config_refuse(config, "rotary positions need an even head dimension, found %zu", d->head_dim);
}

/* Linears have the biases that the checkpoint has; norms of a type with a bias have one. */
static void describe_biases(struct model_description *d) {
    static const enum weight linears[] = {WEIGHT_HEAD,          WEIGHT_QUERY,  WEIGHT_KEY,     WEIGHT_VALUE,
                                          WEIGHT_ATTENTION_OUT, WEIGHT_MLP_UP, WEIGHT_MLP_DOWN};
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++) d->bias[linears[i]] = BIAS_OPTIONAL;
    config_biases(d, d->norm_type == NORM_TYPE_LAYERNORM,
                  WEIGHTS_NORMS | WEIGHT_BIT(ATTENTION_INNER_NORM) | WEIGHT_BIT(MLP_INNER_NORM) |
                      WEIGHT_BIT(ATTENTION_POST_NORM) | WEIGHT_BIT(MLP_POST_NORM));
}

/* A key that only one placement reads is refused in the others: it would say something that is not done. */
static bool belongs(struct config_reader *config, const struct model_description *d, const char *key,
                    enum norm_placement placement) {
    if (!config_has(config, key)) return false;
    if (d->placement == placement) return true;
    config_refuse(config, "%s belongs to norm_placement=%s, found %s", key, placement_name(placement),
                  placement_name(d->placement));
    return false;
}

static void describe_dual(struct config_reader *config, struct model_description *d) {
    if (belongs(config, d, "dual_scale", PLACEMENT_RESIDUAL_DUAL))
        d->dual_scale = config_real(config, "dual_scale", 1, -1e6, 1e6);
    if (belongs(config, d, "dual_alpha", PLACEMENT_RESIDUAL_DUAL))
        d->dual_alpha = config_real(config, "dual_alpha", 1, -1e6, 1e6);
    double eps = 1e-7;
    if (belongs(config, d, "dual_norm_eps", PLACEMENT_RESIDUAL_DUAL))
        eps = config_real(config, "dual_norm_eps", eps, 0, 1);
    if (d->placement != PLACEMENT_RESIDUAL_DUAL) return;
    d->final_norm_eps = eps;
    if (d->gpas) config_refuse(config, "norm_placement=residual_dual with gpas=true is not defined");
    if (d->norm_type != NORM_TYPE_LAYERNORM)
        config_refuse(config, "norm_placement=residual_dual needs norm_type=layernorm");
}

static void describe_placement(struct config_reader *config, struct model_description *d) {
    static const char *const norm_types[] = {"layernorm", "rmsnorm", NULL};
    static const char *const head_scales[] = {"paper", "output", NULL};
    d->norm_type =
        config_choice(config, "norm_type", "layernorm", norm_types) ? NORM_TYPE_RMSNORM : NORM_TYPE_LAYERNORM;
    d->placement = (enum norm_placement)config_choice(config, "norm_placement", "pre", placements);
    d->gpas = config_bool(config, "gpas", false);
    d->final_norm = d->placement != PLACEMENT_POST && d->placement != PLACEMENT_DEEPNORM;
    if (d->placement == PLACEMENT_DEEPNORM) d->deepnorm_alpha = pow(2 * (double)d->layers, 0.25);
    if (belongs(config, d, "deepnorm_alpha", PLACEMENT_DEEPNORM))
        d->deepnorm_alpha = config_real(config, "deepnorm_alpha", 1, 1e-6, 1e6);
    if (belongs(config, d, "head_scale", PLACEMENT_NORMFORMER))
        d->head_scale =
            config_choice(config, "head_scale", "paper", head_scales) ? HEAD_SCALE_OUTPUT : HEAD_SCALE_PAPER;
    bool scaled = config_bool(config, "residual_scale", false);
    if (scaled && belongs(config, d, "residual_scale", PLACEMENT_NORMFORMER)) d->residual_scale = true;
    describe_dual(config, d);
    describe_biases(d);
}

static void describe(struct config_reader *config, struct model_description *d) {
    describe_positions(config, d);
    describe_placement(config, d);
}

const struct family family_prenorm = {
    .model_type = "prenorm",
    .prefix = "",
    .strict_keys = true, /* the format is ours: whatever it does not have is a mistake */
    .names = {names, names_fairseq},
    .keys = &keys_llama, /* no sizes by default: all are required */
    .mlp_width = {"intermediate_size", 0},
    .norm_eps = {"layer_norm_eps", 1e-5},
    .activation = {"hidden_act", "gelu_new"},
    .tied = true,
    .tokens = {-1, -1, -1},
    .describe = describe,
};
