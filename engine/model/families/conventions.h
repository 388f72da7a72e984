/* What several families share: names of tensors, keys of config.json, lists of keys and buffers to pass over, and
 * whole adapters that others begin as. Each convention is called after the model that began it. */
#pragma once

#include "engine/model/config_generic.h"
#include "engine/model/config_sizes.h"
#include "engine/model/family.h"

/* Keys of sizes. */
extern const struct size_keys keys_gpt2;  /* n_positions, n_embd, n_layer, n_head, or the general spellings */
extern const struct size_keys keys_llama; /* the general spellings: hidden_size, num_hidden_layers, ... */

/* Names of tensors. */
extern const struct weight_name names_gpt2[];    /* wte, h.0.attn.c_attn, h.0.mlp.c_fc, ... */
extern const struct weight_name names_neox[];    /* embed_in, layers.0.attention.query_key_value, ... */
extern const struct weight_name names_bloom[];   /* word_embeddings, h.0.self_attention.dense, ... */
extern const struct weight_name names_llama[];   /* embed_tokens, layers.0.self_attn.q_proj, ... */
extern const struct weight_name names_fairseq[]; /* embed_tokens, layers.0.fc1, ... */

/* Sets of weights. */
#define WEIGHTS_NORMS     (WEIGHT_BIT(FINAL_NORM) | WEIGHT_BIT(ATTENTION_NORM) | WEIGHT_BIT(MLP_NORM))
#define WEIGHTS_QKV       (WEIGHT_BIT(QKV) | WEIGHT_BIT(QUERY) | WEIGHT_BIT(KEY) | WEIGHT_BIT(VALUE))
#define WEIGHTS_ATTENTION (WEIGHTS_QKV | WEIGHT_BIT(ATTENTION_OUT))
#define WEIGHTS_MLP                                                                                          \
    (WEIGHT_BIT(MLP_GATE_UP) | WEIGHT_BIT(MLP_GATE) | WEIGHT_BIT(MLP_UP) | WEIGHT_BIT(MLP_DOWN))
#define WEIGHTS_LINEARS  (WEIGHTS_ATTENTION | WEIGHTS_MLP)
#define WEIGHTS_QK_NORMS (WEIGHT_BIT(QUERY_NORM) | WEIGHT_BIT(KEY_NORM))

/* Lists of texts. */
#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Keys of the classification heads of GPT-2 and its kin. */
#define KEYS_SUMMARY                                                                                         \
    "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type",                 \
        "summary_use_proj"

/* Tables that old checkpoints carry along. */
#define ROTARY_BUFFERS    ".inv_freq", ".rotary_emb.cos_cached", ".rotary_emb.sin_cached"
#define ATTENTION_BUFFERS ".attn.bias", ".attn.masked_bias"

/* ---- whole adapters that others begin as ----------------------------------------------------------------
 * A family that is like another begins with the other's fields and says below them what differs: of two
 * initializers of a field the last one holds. The compiler's warning of that is off for the adapters alone. */
#pragma GCC diagnostic ignored "-Woverride-init"

#define LIKE_GPT2                                                                                            \
    .prefix = "transformer.", .names = {NULL, names_gpt2}, .biases = WEIGHTS_NORMS | WEIGHTS_LINEARS,        \
    .buffers = TEXTS(ATTENTION_BUFFERS), .ignored_keys = TEXTS("n_ctx", KEYS_SUMMARY), .keys = &keys_gpt2,   \
    .sizes = {.vocabulary = 50257, .context = 1024, .width = 768, .layers = 12, .heads = 12},                \
    .mlp_width = {"n_inner", FOUR_WIDTHS}, .norm_eps = {"layer_norm_epsilon", 1e-5},                         \
    .activation = {"activation_function", "gelu_new"}, .tied = true, .tokens = {50256, 50256, -1}

#define LIKE_LLAMA                                                                                           \
    .prefix = "model.", .names = {NULL, names_llama}, .buffers = TEXTS(ROTARY_BUFFERS), .keys = &keys_llama, \
    .sizes = {.vocabulary = 32000, .context = 2048, .width = 4096, .layers = 32, .heads = 32},               \
    .kv_heads = {"num_key_value_heads", 0}, .mlp_width = {"intermediate_size", 11008},                       \
    .head_dim = HEAD_DIM_FREE, .norm_eps = {"rms_norm_eps", 1e-6}, .activation = {"hidden_act", "silu"},     \
    .rotary = {.theta = "rope_theta", .theta_default = 10000, .kinds = ROTARY_KINDS_ALL},                    \
    .tokens = {1, 2, -1}, .describe = describe_llama_block

/* The same with LayerNorm, whose families are checked with the older kinds of rotary scaling alone. */
#define LIKE_LLAMA_LAYER_NORM                                                                                \
    LIKE_LLAMA, .norm_eps = {"layer_norm_eps", 1e-5}, .rotary.kinds = ROTARY_KINDS_OLD

/* ---- traits that several families have ----------------------------------------------------------------- */

/* Of a real factor: beyond any that a model is trained with, and far from the ends of float. */
#define FACTOR_MIN 1e-6
#define FACTOR_MAX 1e6

/* Ends a refusal of a setting that is known, but that nothing checks our results for. */
#define NO_REFERENCE "is not supported: no reference for it"

/* Refuses blocks that add the norm's output to the residual stream (BLOOM, Falcon). */
void refuse_residual_behind_norm(struct config_reader *config);

/* RMSNorm, and a gated MLP. */
void describe_rms_block(struct model_description *d);

/* The same for families whose linears have no biases: the keys may only say so. */
void describe_rms_block_unbiased(struct config_reader *config, struct model_description *d);

/* The same with the keys attention_bias and mlp_bias. */
void describe_llama_block(struct config_reader *config, struct model_description *d);

/* The window of every layer is what sliding_window says; without it there is none. For describe_layers(). */
void describe_window(struct config_reader *config, struct model_description *d);
