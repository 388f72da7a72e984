/* What several families share: names of tensors, keys of config.json, lists of keys and buffers to pass over.
 * Each convention is called after the model that began it. */
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
extern const struct weight_name names_gemma2[]; /* the norms around Gemma 2's sub-layers; the rest as Llama */

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
#define NEOX_BUFFERS      ".attention.bias", ".attention.masked_bias", ROTARY_BUFFERS

/* Copies of rotary_emb_base and rotary_pct that the library writes and does not read. */
#define NEOX_COPIED_KEYS "rope_theta", "partial_rotary_factor"

/* Of a struct family: what Llama and all of its kin have, and the rotary positions of most. */
#define LLAMA_KIN                                                                                            \
    .prefix = "model.", .buffers = TEXTS(ROTARY_BUFFERS), .keys = &keys_llama, .head_dim = HEAD_DIM_FREE
#define LLAMA_ROTARY                                                                                         \
    { .theta = "rope_theta", .theta_default = 10000, .kinds = ROTARY_KINDS_ALL }

/* Ends a refusal of a setting that is known, but that nothing checks our results for. */
#define NO_REFERENCE "is not supported: no reference for it"

/* Refuses blocks that add the norm's output to the residual stream (BLOOM, Falcon). */
void refuse_residual_behind_norm(struct config_reader *config);

/* The traits of a GPT-J block, which CodeGen has too. */
void describe_gptj_block(struct config_reader *config, struct model_description *d);

/* RMSNorm, and a gated MLP. */
void describe_rms_block(struct model_description *d);

/* The same for families whose linears have no biases: the keys may only say so. */
void describe_rms_block_unbiased(struct config_reader *config, struct model_description *d);

/* The same with the keys attention_bias and mlp_bias. */
void describe_llama_block(struct config_reader *config, struct model_description *d);

/* Windows of the layers from max_window_layers on, or by layer_types, where use_sliding_window is true. For
 * describe_layers(). */
void describe_qwen_windows(struct config_reader *config, struct model_description *d);

/* The traits of all generations of Gemma. */
void describe_gemma_block(struct config_reader *config, struct model_description *d);

/* Of Gemma 2 and 3: query_pre_attn_scalar, and windows in all but every period-th layer. For describe_layers(). */
void describe_gemma_layers(struct config_reader *config, struct model_description *d, size_t period);

/* A soft cap; null: none (0). */
double config_cap(struct config_reader *config, const char *key, double fallback);

/* The traits of a Command R block, of either generation. */
void describe_cohere_block(struct config_reader *config, struct model_description *d);
