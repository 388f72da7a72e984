/* The format for the norm placements of the literature, in which researchers export what they trained
 * (docs/prenorm-format.md): plain names, [out, in] matrices, norm_placement in the config. A key that the format
 * does not have, or that a placement does not read, is an error: it would say something that is not done. */
#include "engine/model/families/conventions.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING_NORM, "embed_norm"},
    {WEIGHT_FINAL_NORM, "final_norm"},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.attn_norm"},
    {WEIGHT_MLP_NORM, "layers.%zu.mlp_norm"},
    {WEIGHT_QUERY, "layers.%zu.attn.q_proj"},
    {WEIGHT_KEY, "layers.%zu.attn.k_proj"},
    {WEIGHT_VALUE, "layers.%zu.attn.v_proj"},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.attn.out_proj"},
    {WEIGHT_MLP_GATE, "layers.%zu.mlp.gate_proj"},
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

/* ---- what the authors' code can do and this format can't say ------------------------------------------- */

/* Switches as fairseq and torchscale call them; off is fine. */
static const struct {
    const char *key, *what;
} refused_switches[] = {
    {"xpos_rel_pos", "xPos"},
    {"rel_pos_buckets", "T5's relative position bias"},
    {"max_rel_pos", "T5's relative position bias"},
    {"relative_attention_num_buckets", "T5's relative position bias"},
    {"adaptive_softmax_cutoff", "an adaptive softmax"},
    {"adaptive_input", "adaptive input embeddings"},
    {"cross_attention", "cross-attention"},
    {"multiway", "multiway"},
    {"moe_freq", "a mixture of experts"},
    {"moe_expert_count", "a mixture of experts"},
};

static bool is_off(const json_t *value) {
    if (json_is_string(value)) return json_string_length(value) == 0;
    if (json_is_array(value)) return json_array_size(value) == 0;
    return json_is_false(value) || (json_is_number(value) && json_number_value(value) == 0);
}

static void refuse_switches(struct config_reader *config) {
    for (size_t i = 0; i < sizeof refused_switches / sizeof *refused_switches; i++) {
        const json_t *value = config_value(config, refused_switches[i].key);
        if (value && !is_off(value))
            config_refuse(config, "%s: %s is not supported", refused_switches[i].key,
                          refused_switches[i].what);
    }
}

/* ---- sizes, embedding, positions ----------------------------------------------------------------------- */

/* Refuses a key that is there and only means something where `where` says. */
static bool belongs(struct config_reader *config, const char *key, bool here, const char *where) {
    if (!config_has(config, key)) return false;
    if (!here) config_refuse(config, "%s belongs to %s", key, where);
    return here;
}

/* Kinds that the authors' code has and this format has not, by any of their names. */
static bool is_refused_position(struct config_reader *config) {
    const char *name = config_text(config, "position_embedding_type", "learned");
    bool xpos = name && strcasecmp(name, "xpos") == 0;
    if (!xpos && !(name && (strcasecmp(name, "t5") == 0 || strncasecmp(name, "relative", 8) == 0)))
        return false;
    config_refuse(config, "position_embedding_type=%.40s: %s is not supported", name,
                  xpos ? "xPos" : "T5's relative position bias");
    return true;
}

static void describe_positions(struct config_reader *config, struct model_description *d) {
    static const char *const kinds[] = {"learned", "rotary", "none", "alibi", "sinusoidal", NULL};
    static const enum position_kind positions[] = {POSITION_LEARNED, POSITION_ROTARY, POSITION_NONE,
                                                   POSITION_ALIBI, POSITION_SINUSOIDAL_HALVES};
    if (is_refused_position(config)) return;
    d->position = positions[config_choice(config, "position_embedding_type", "learned", kinds)];
    d->rotary.dimensions = d->position == POSITION_ROTARY ? d->head_dim : 0;
    if (belongs(config, "rope_theta", d->position == POSITION_ROTARY, "position_embedding_type=rotary"))
        d->rotary.theta = config_real(config, "rope_theta", 10000, 1, 1e12);
    bool added = d->position == POSITION_LEARNED || d->position == POSITION_SINUSOIDAL_HALVES;
    if (belongs(config, "position_offset", added, "position_embedding_type=learned or sinusoidal"))
        d->position_offset = config_size(config, "position_offset", 0, 0, MODEL_CONTEXT_MAX);
    if (d->position == POSITION_ROTARY && d->head_dim % 2)
        config_refuse(config, "rotary positions need an even head dimension, found %zu", d->head_dim);
    if (d->position == POSITION_SINUSOIDAL_HALVES && d->width < 4)
        config_refuse(config, "sinusoidal positions need a width of at least 4, found %zu", d->width);
}

static void describe_embedding(struct config_reader *config, struct model_description *d) {
    d->embedding_scale = config_real(config, "embedding_scale", 1, -FACTOR_MAX, FACTOR_MAX);
    d->embedding_norm = config_bool(config, "embedding_norm", false);
    d->gated = config_bool(config, "gated_mlp", false);
}

/* Linears have the biases that the checkpoint has; norms of a type with a bias have one. */
static void describe_biases(struct model_description *d) {
    static const enum weight linears[] = {WEIGHT_HEAD,   WEIGHT_QUERY,         WEIGHT_KEY,
                                          WEIGHT_VALUE,  WEIGHT_ATTENTION_OUT, WEIGHT_MLP_GATE,
                                          WEIGHT_MLP_UP, WEIGHT_MLP_DOWN};
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++) d->bias[linears[i]] = BIAS_OPTIONAL;
    config_biases(d, d->norm_type == NORM_TYPE_LAYERNORM,
                  WEIGHTS_NORMS | WEIGHT_BIT(EMBEDDING_NORM) | WEIGHT_BIT(ATTENTION_INNER_NORM) |
                      WEIGHT_BIT(MLP_INNER_NORM) | WEIGHT_BIT(ATTENTION_POST_NORM) |
                      WEIGHT_BIT(MLP_POST_NORM));
}

/* ---- norm_placement ------------------------------------------------------------------------------------ */

/* Sets of placements. */
#define SET_OF(placement) (1u << (placement))
#define SET(name)         SET_OF(PLACEMENT_##name)
#define LISTABLE          (SET(PRE) | SET(POST) | SET(DEEPNORM) | SET(SANDWICH))
#define HAS_ALPHA         (SET(PRE) | SET(SANDWICH) | SET(SUB_LN) | SET(NORMFORMER) | SET(KEEL))
#define HAS_NO_GATE       (SET(RESIDUAL_DUAL) | SET(OUTPUT) | SET(KEEL))

static enum norm_placement placement_from_name(const char *name) {
    enum norm_placement placement = 0;
    while (placement < PLACEMENT_COUNT && !(name && strcmp(placement_name(placement), name) == 0))
        placement++;
    return placement;
}

/* The placement of a layer; config_failed() where there is none. */
static enum norm_placement placement_of(struct config_reader *config, size_t layer) {
    const json_t *value = config_value(config, "norm_placement"), *list = value;
    if (!value) return PLACEMENT_PRE;
    if (json_is_array(list)) value = json_array_get(list, layer);
    enum norm_placement placement = placement_from_name(json_string_value(value));
    if (placement != PLACEMENT_COUNT && (value == list || SET_OF(placement) & LISTABLE)) return placement;
    const char *name = json_is_string(value) ? json_string_value(value) : "(no name)";
    if (value == list)
        config_refuse(config,
                      "norm_placement=\"%.40s\" is not known; expected pre, post, deepnorm, sandwich, "
                      "sub_ln, normformer, residual_dual, output, keel, or a list with one name a layer",
                      name);
    else
        config_refuse(config,
                      "norm_placement[%zu]=\"%.40s\" can't stand in a list; expected pre, post, "
                      "deepnorm or sandwich",
                      layer, name);
    return PLACEMENT_PRE;
}

/* Sets d->placement; returns the set of all that occur. */
static unsigned describe_placement(struct config_reader *config, struct model_description *d) {
    const json_t *list = config_value(config, "norm_placement");
    size_t count = json_is_array(list) ? json_array_size(list) : d->layers;
    unsigned used = 0;
    if (count != d->layers)
        config_refuse(config, "norm_placement has %zu names, and the model %zu layers", count, d->layers);
    for (size_t i = 0; i < count && !config_failed(config); i++) {
        enum norm_placement placement = placement_of(config, i);
        d->placement = used == 0 || d->placement == placement ? placement : PLACEMENT_MIXED;
        used |= SET_OF(placement);
        if (i + 1 == count) d->final_norm = placement != PLACEMENT_POST && placement != PLACEMENT_DEEPNORM;
    }
    return used;
}

static void describe_layers(struct config_reader *config, struct model_description *d) {
    for (size_t i = 0; i < d->layers && !config_failed(config); i++)
        d->layer[i].placement = placement_of(config, i);
}

static void describe_norm_type(struct config_reader *config, struct model_description *d, unsigned used) {
    static const char *const norm_types[] = {"layernorm", "rmsnorm", "crmsnorm", NULL};
    static const enum norm_type types[] = {NORM_TYPE_LAYERNORM, NORM_TYPE_RMSNORM, NORM_TYPE_CRMSNORM};
    d->norm_type = types[config_choice(config, "norm_type", "layernorm", norm_types)];
    if (d->norm_type == NORM_TYPE_CRMSNORM && used != SET(PRE))
        config_refuse(config, "norm_type=crmsnorm needs norm_placement=pre");
}

static void describe_factors(struct config_reader *config, struct model_description *d, unsigned used) {
    d->gpas = config_bool(config, "gpas", false);
    if (d->gpas && used & HAS_NO_GATE)
        config_refuse(config, "norm_placement=%s with gpas=true is not defined",
                      placement_name(d->placement));
    d->deepnorm_alpha = pow(2 * (double)d->layers, 0.25);
    if (belongs(config, "deepnorm_alpha", used & SET(DEEPNORM), "norm_placement=deepnorm"))
        d->deepnorm_alpha = config_real(config, "deepnorm_alpha", 1, FACTOR_MIN, FACTOR_MAX);
    if (belongs(config, "residual_alpha", used & HAS_ALPHA,
                "norm_placement=pre, sandwich, sub_ln, normformer or keel"))
        d->residual_alpha = config_real(config, "residual_alpha", 1, FACTOR_MIN, FACTOR_MAX);
    else if (used & SET(KEEL))
        config_refuse(config, "norm_placement=keel needs residual_alpha");
}

/* A norm of the placement may be left out where the set says so; elsewhere the key may only say what is. */
static void describe_inner_norm(struct config_reader *config, struct model_description *d, unsigned used,
                                const char *key, uint32_t norm, unsigned may_lack) {
    if (!config_has(config, key)) return;
    bool wanted = config_bool(config, key, true), has = false;
    for (enum norm_placement p = 0; p < PLACEMENT_COUNT; p++)
        has |= used & SET_OF(p) && placement_norms(p) & norm;
    if (wanted != has && !(has && used & may_lack))
        config_refuse(config, "%s=%s contradicts norm_placement=%s", key, wanted ? "true" : "false",
                      placement_name(d->placement));
    if (has && !wanted) d->norms_left_out |= norm;
}

static void describe_norms(struct config_reader *config, struct model_description *d, unsigned used) {
    describe_inner_norm(config, d, used, "attn_post_norm", WEIGHT_BIT(ATTENTION_POST_NORM), SET(NORMFORMER));
    describe_inner_norm(config, d, used, "mlp_inner_norm", WEIGHT_BIT(MLP_INNER_NORM),
                        SET(NORMFORMER) | SET(SUB_LN));
    describe_inner_norm(config, d, used, "attn_inner_norm", WEIGHT_BIT(ATTENTION_INNER_NORM), SET(SUB_LN));
    d->final_norm = config_bool(config, "final_norm", d->final_norm);
    if (!d->final_norm && used & SET(RESIDUAL_DUAL))
        config_refuse(config, "norm_placement=residual_dual with final_norm=false is not defined");
}

static void describe_normformer(struct config_reader *config, struct model_description *d, bool here) {
    static const char *const head_scales[] = {"paper", "output", NULL};
    if (belongs(config, "head_scale", here, "norm_placement=normformer"))
        d->head_scale =
            config_choice(config, "head_scale", "paper", head_scales) ? HEAD_SCALE_OUTPUT : HEAD_SCALE_PAPER;
    if (d->head_scale == HEAD_SCALE_OUTPUT && d->width % d->heads)
        config_refuse(config, "head_scale=output divides the width %zu between %zu heads", d->width,
                      d->heads);
    d->residual_scale = config_bool(config, "residual_scale", false);
    if (d->residual_scale) belongs(config, "residual_scale", here, "norm_placement=normformer");
}

static void describe_dual(struct config_reader *config, struct model_description *d, bool here) {
    static const char where[] = "norm_placement=residual_dual";
    if (belongs(config, "dual_scale", here, where))
        d->dual_scale = config_real(config, "dual_scale", 1, -FACTOR_MAX, FACTOR_MAX);
    if (belongs(config, "dual_alpha", here, where))
        d->dual_alpha = config_real(config, "dual_alpha", 1, -FACTOR_MAX, FACTOR_MAX);
    if (here) d->final_norm_eps = 1e-7;
    if (belongs(config, "dual_norm_eps", here, where))
        d->final_norm_eps = config_real(config, "dual_norm_eps", 1e-7, 0, 1);
    if (here && d->norm_type != NORM_TYPE_LAYERNORM)
        config_refuse(config, "norm_placement=residual_dual needs norm_type=layernorm");
}

static void describe(struct config_reader *config, struct model_description *d) {
    refuse_switches(config);
    describe_positions(config, d);
    describe_embedding(config, d);
    unsigned used = describe_placement(config, d);
    describe_norm_type(config, d, used);
    describe_factors(config, d, used);
    describe_norms(config, d, used);
    describe_normformer(config, d, used & SET(NORMFORMER));
    describe_dual(config, d, used & SET(RESIDUAL_DUAL));
    describe_biases(d);
}

const struct family family_prenorm = {
    .model_type = "prenorm",
    .prefix = "",
    .strict_keys = true, /* the format is ours: whatever it does not have is a mistake */
    .names = {names, names_fairseq},
    .keys = &keys_llama, /* no sizes by default: all are required */
    .kv_heads = {"num_key_value_heads", 0},
    .head_dim = HEAD_DIM_FREE,
    .mlp_width = {"intermediate_size", 0},
    .norm_eps = {"layer_norm_eps", 1e-5},
    .activation = {"hidden_act", "gelu_new"},
    .tied = true,
    .tokens = {-1, -1, -1},
    .describe = describe,
    .describe_layers = describe_layers,
};
