/* GPT-2 (Radford et al. 2019), gpt-sw3: sequential, learned positions, c_attn = Conv1D [in, out] of q | k |
 * v. */
#include "engine/model/families.h"

#include <math.h>

static const struct weight_name names[] = {
    {WEIGHT_EMBEDDING, "wte", BIAS_NONE, false},
    {WEIGHT_POSITION, "wpe", BIAS_NONE, false},
    {WEIGHT_FINAL_NORM, "ln_f", BIAS_REQUIRED, false},
    {WEIGHT_HEAD, "lm_head", BIAS_NONE, false},
    {WEIGHT_ATTENTION_NORM, "h.%zu.ln_1", BIAS_REQUIRED, false},
    {WEIGHT_MLP_NORM, "h.%zu.ln_2", BIAS_REQUIRED, false},
    {WEIGHT_QKV, "h.%zu.attn.c_attn", BIAS_REQUIRED, false},
    {WEIGHT_ATTENTION_OUT, "h.%zu.attn.c_proj", BIAS_REQUIRED, false},
    {WEIGHT_MLP_UP, "h.%zu.mlp.c_fc", BIAS_REQUIRED, false},
    {WEIGHT_MLP_DOWN, "h.%zu.mlp.c_proj", BIAS_REQUIRED, false},
    NAMES_END,
};

static const char *const buffers[] = {".attn.bias", ".attn.masked_bias", NULL};

static const char *const ignored_keys[] = {
    "n_ctx",
    "reorder_and_upcast_attn", /* a matter of precision in float16 training: the engine computes in float32 */
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    NULL,
};

static void describe(struct config_reader *config, struct model_description *d) {
    d->vocabulary = config_size(config, "vocab_size", 50257, 1, MODEL_VOCABULARY_MAX);
    d->context =
        config_size_either(config, "n_positions", "max_position_embeddings", 1024, 1, MODEL_CONTEXT_MAX);
    d->width = config_size_either(config, "n_embd", "hidden_size", 768, 2, MODEL_WIDTH_MAX);
    d->layers = config_size_either(config, "n_layer", "num_hidden_layers", 12, 1, MODEL_LAYERS_MAX);
    d->heads = d->kv_heads =
        config_size_either(config, "n_head", "num_attention_heads", 12, 1, MODEL_HEADS_MAX);
    d->head_dim = config_head_dim(config, "n_head", d->width, d->heads);
    d->mlp_width = config_size(config, "n_inner", 4 * d->width, 1, MODEL_MLP_WIDTH_MAX);
    d->norm_eps = d->final_norm_eps = config_real(config, "layer_norm_epsilon", 1e-5, 0, 1);
    config_activation(config, "activation_function", "gelu_new", d);
    d->position = POSITION_LEARNED;
    d->qkv_packing = QKV_CONCATENATED;
    d->transposed = true;
    d->tied = config_bool(config, "tie_word_embeddings", true);
    config_default_tokens(d, 50256, 50256, -1);

    bool scaled = config_bool(config, "scale_attn_weights", true);
    bool by_layer = config_bool(config, "scale_attn_by_inverse_layer_idx", false);
    if (!config_layers_init(config, d)) return;
    for (size_t i = 0; i < d->layers; i++) {
        d->layer[i].attention_scale = scaled ? 1 / sqrt((double)d->head_dim) : 1;
        if (by_layer) d->layer[i].attention_scale /= (double)(i + 1);
    }
}

const struct family family_gpt2 = {
    .model_type = "gpt2",
    .names = names,
    .prefix = "transformer.",
    .buffers = buffers,
    .ignored_keys = ignored_keys,
    .describe = describe,
};
