/* Falcon (Almazrouei et al. 2023) in its three shapes: 7B (parallel with one norm, one key/value head), the
 * new decoder architecture of 40B, 180B and 11B (parallel with two norms or one, groups of heads), and the RW
 * models (sequential, ALiBi, q, k, v of a head together). */
#include "engine/model/families/conventions.h"

static const struct size_keys keys = {
    .context = {"max_position_embeddings", NULL},
    .width = {"hidden_size", "n_embed"},
    .layers = {"num_hidden_layers", NULL},
    .heads = {"num_attention_heads", NULL},
};

static const struct weight_name own_two_norms[] = {
    {WEIGHT_ATTENTION_NORM, "h.%zu.ln_attn"},
    {WEIGHT_MLP_NORM, "h.%zu.ln_mlp"},
    NAMES_END,
};
static const struct weight_names names_two_norms = {own_two_norms, names_bloom};

static const struct rotary_keys rotary = {.theta = "rope_theta", .theta_default = 10000};

/* The new architecture has blocks with one or two norms in parallel, and no sequential ones; multi_query is
 * not read. */
static void describe_new(struct config_reader *config, struct model_description *d, size_t norms) {
    config_know(config, TEXTS("multi_query"));
    config_demand_bool(config, "parallel_attn", true, true, "does not exist with new_decoder_architecture");
    d->kv_heads = config_size(config, "num_kv_heads", d->heads, 1, MODEL_HEADS_MAX);
    d->qkv_packing = QKV_GROUPED;
    d->residual = norms == 1 ? RESIDUAL_PARALLEL_ONE_NORM : RESIDUAL_PARALLEL_TWO_NORMS;
    if (norms != 1) d->names = &names_two_norms;
}

/* With multi_query the published configs carry a num_kv_heads that nothing reads; without it there is a
 * key/value head a head. */
static void describe_old(struct config_reader *config, struct model_description *d, size_t norms) {
    bool parallel = config_bool(config, "parallel_attn", true);
    if (norms == 2)
        config_refuse(config, "num_ln_in_parallel_attn=2 does not exist without new_decoder_architecture");
    d->residual = parallel ? RESIDUAL_PARALLEL_ONE_NORM : RESIDUAL_SEQUENTIAL;
    if (config_bool(config, "multi_query", true)) {
        d->kv_heads = 1;
        d->qkv_packing = QKV_CONCATENATED;
        config_know(config, TEXTS("num_kv_heads"));
    } else {
        config_demand_size(config, "num_kv_heads", d->heads);
        d->qkv_packing = QKV_PER_HEAD;
    }
}

/* The transformers library (4.57 and 5.23) gives two answers: its sdpa attention, which it takes by default, adds
 * the bias once, as the models were trained; its eager attention adds it to the scores and once more with the
 * mask. The config's attn_implementation chooses, as it does there. */
static double alibi_factor(struct config_reader *config) {
    const char *key =
        config_has(config, "attn_implementation") ? "attn_implementation" : "_attn_implementation";
    return config_choice(config, key, "sdpa", TEXTS("sdpa", "eager")) == 0 ? 1 : 2;
}

static void describe_positions(struct config_reader *config, struct model_description *d) {
    if (!config_bool(config, "alibi", false)) {
        config_rotary(config, &rotary, d);
        return;
    }
    d->position = POSITION_ALIBI;
    d->alibi.kind = ALIBI_FALCON;
    d->alibi.factor = alibi_factor(config);
    config_know(config, TEXTS("rope_theta", "rope_scaling", "rope_parameters"));
}

static void describe(struct config_reader *config, struct model_description *d) {
    refuse_residual_behind_norm(config);
    config_biases(d, config_bool(config, "bias", false), WEIGHTS_LINEARS);
    size_t norms = config_size(config, "num_ln_in_parallel_attn", 0, 1, 2);
    if (config_bool(config, "new_decoder_architecture", false))
        describe_new(config, d, norms);
    else
        describe_old(config, d, norms);
    describe_positions(config, d);
}

const struct family family_falcon = {
    .model_type = "falcon",
    .prefix = "transformer.",
    .names = {NULL, names_bloom},
    .biases = WEIGHTS_NORMS,
    .buffers = TEXTS(ROTARY_BUFFERS),
    .ignored_keys = TEXTS("ff_factor"), /* ffn_hidden_size says what counts */
    .architectures = TEXTS("RWForCausalLM", "RWModel"),
    .keys = &keys,
    .sizes = {.vocabulary = 65024, .context = 2048, .width = 4544, .layers = 32, .heads = 71},
    .mlp_width = {"ffn_hidden_size", FOUR_WIDTHS},
    .head_dim = HEAD_DIM_EQUAL,
    .norm_eps = {"layer_norm_epsilon", 1e-5},
    .activation = {"activation", "gelu"},
    .tied = true,
    .tokens = {11, 11, -1},
    .describe = describe,
};
