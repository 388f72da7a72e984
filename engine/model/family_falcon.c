/* Falcon (Almazrouei et al. 2023) in its three shapes: 7B (parallel with one norm, one key/value head), the
 * new decoder architecture of 40B, 180B and 11B (parallel with two norms or one, groups of heads), and the RW
 * models (sequential, ALiBi, q, k, v of a head together). */
#include "engine/base/log.h"
#include "engine/model/families.h"

/* What all shapes have. */
#define NAMES                                                                                                \
    {WEIGHT_EMBEDDING, "word_embeddings", BIAS_NONE, false},                                                 \
        {WEIGHT_FINAL_NORM, "ln_f", BIAS_REQUIRED, false}, {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},       \
        {WEIGHT_QKV, "h.%zu.self_attention.query_key_value", BIAS_NONE, false},                              \
        {WEIGHT_ATTENTION_OUT, "h.%zu.self_attention.dense", BIAS_NONE, false},                              \
        {WEIGHT_MLP_UP, "h.%zu.mlp.dense_h_to_4h", BIAS_NONE, false}, {                                      \
        WEIGHT_MLP_DOWN, "h.%zu.mlp.dense_4h_to_h", BIAS_NONE, false                                         \
    }

static const struct weight_name names[] = {
    NAMES,
    {WEIGHT_ATTENTION_NORM, "h.%zu.input_layernorm", BIAS_REQUIRED, false},
    {WEIGHT_MLP_NORM, "h.%zu.post_attention_layernorm", BIAS_REQUIRED, false},
    NAMES_END,
};

static const struct weight_name names_two_norms[] = {
    NAMES,
    {WEIGHT_ATTENTION_NORM, "h.%zu.ln_attn", BIAS_REQUIRED, false},
    {WEIGHT_MLP_NORM, "h.%zu.ln_mlp", BIAS_REQUIRED, false},
    NAMES_END,
};

static const char *const buffers[] = {ROTARY_BUFFERS, NULL};

static const char *const ignored_keys[] = {"ff_factor", NULL}; /* ffn_hidden_size says what counts */

static const struct rotary_keys rotary = {.theta = "rope_theta", .theta_default = 10000};

/* The new architecture has blocks with one or two norms in parallel, and no sequential ones; multi_query is
 * not read. */
static void describe_new(struct config_reader *config, struct model_description *d, size_t norms) {
    static const char *const unread[] = {"multi_query", NULL};
    config_know(config, unread);
    config_demand_bool(config, "parallel_attn", true, true, "does not exist with new_decoder_architecture");
    d->kv_heads = config_size(config, "num_kv_heads", d->heads, 1, MODEL_HEADS_MAX);
    d->qkv_packing = QKV_GROUPED;
    d->residual = norms == 1 ? RESIDUAL_PARALLEL_ONE_NORM : RESIDUAL_PARALLEL_TWO_NORMS;
    if (norms != 1) d->names = names_two_norms;
}

/* With multi_query the published configs carry a num_kv_heads that nothing reads; without it there is a
 * key/value head a head. */
static void describe_old(struct config_reader *config, struct model_description *d, size_t norms) {
    static const char *const unread[] = {"num_kv_heads", NULL};
    bool parallel = config_bool(config, "parallel_attn", true);
    if (norms == 2)
        config_refuse(config, "num_ln_in_parallel_attn=2 does not exist without new_decoder_architecture");
    d->residual = parallel ? RESIDUAL_PARALLEL_ONE_NORM : RESIDUAL_SEQUENTIAL;
    if (config_bool(config, "multi_query", true)) {
        d->kv_heads = 1;
        d->qkv_packing = QKV_CONCATENATED;
        config_know(config, unread);
    } else {
        config_demand_size(config, "num_kv_heads", d->heads);
        d->qkv_packing = QKV_PER_HEAD;
    }
}

/* The transformers library (4.57 and 5.23) gives two answers: its eager attention adds the bias to the scores
 * and once more with the mask, its sdpa attention adds it once. The config's attn_implementation chooses, as
 * it does there; without it the eager answer is given, which is the one that reference logits exist for. */
static double alibi_factor(struct config_reader *config) {
    static const char *const kinds[] = {"eager", "sdpa", NULL};
    bool chosen = config_has(config, "attn_implementation");
    size_t kind = config_choice(config, "attn_implementation", "eager", kinds);
    if (!chosen)
        log_warn("config.json: falcon with alibi adds its bias twice, as the eager attention of transformers "
                 "does; "
                 "\"attn_implementation\": \"sdpa\" adds it once, as the sdpa attention does");
    return kind == 0 ? 2 : 1;
}

static void describe_positions(struct config_reader *config, struct model_description *d) {
    static const char *const unread[] = {"rope_theta", "rope_scaling", "rope_parameters", NULL};
    if (!config_bool(config, "alibi", false)) {
        config_rotary(config, &rotary, d);
        return;
    }
    d->position = POSITION_ALIBI;
    d->alibi.kind = ALIBI_FALCON;
    d->alibi.factor = alibi_factor(config);
    config_know(config, unread);
}

static void describe(struct config_reader *config, struct model_description *d) {
    static const enum weight linears[] = {WEIGHT_QKV, WEIGHT_ATTENTION_OUT, WEIGHT_MLP_UP, WEIGHT_MLP_DOWN,
                                          WEIGHT_COUNT};
    d->vocabulary = config_size(config, "vocab_size", 65024, 1, MODEL_VOCABULARY_MAX);
    d->context = config_size(config, "max_position_embeddings", 2048, 1, MODEL_CONTEXT_MAX);
    d->width = config_size_either(config, "hidden_size", "n_embed", 4544, 2, MODEL_WIDTH_MAX);
    d->layers = config_size(config, "num_hidden_layers", 32, 1, MODEL_LAYERS_MAX);
    d->heads = d->kv_heads = config_size(config, "num_attention_heads", 71, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "num_attention_heads", d->width, d->heads);
    config_demand_size(config, "head_dim", d->head_dim);
    d->mlp_width = config_size(config, "ffn_hidden_size", 4 * d->width, 1, MODEL_MLP_WIDTH_MAX);
    d->norm_eps = d->final_norm_eps = config_real(config, "layer_norm_epsilon", 1e-5, 0, 1);
    config_activation(config, "activation", "gelu", d);
    d->tied = config_bool(config, "tie_word_embeddings", true);
    config_demand_bool(config, "apply_residual_connection_post_layernorm", false, false,
                       "adds the norm's output to the branch: it is not Pre-LN");
    config_biases(d, config_bool(config, "bias", false), linears);
    size_t norms = config_size(config, "num_ln_in_parallel_attn", 0, 1, 2);
    if (config_bool(config, "new_decoder_architecture", false))
        describe_new(config, d, norms);
    else
        describe_old(config, d, norms);
    describe_positions(config, d);
    config_default_tokens(d, 11, 11, -1);
    config_layers_init(config, d);
}

const struct family family_falcon = {
    .model_type = "falcon",
    .names = names,
    .prefix = "transformer.",
    .buffers = buffers,
    .ignored_keys = ignored_keys,
    .describe = describe,
};
