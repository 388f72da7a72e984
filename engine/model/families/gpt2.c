/* GPT-2 (Radford et al. 2019), gpt-sw3: sequential, learned positions, c_attn = Conv1D [in, out] of
 * q | k | v. */
#include "engine/model/families/conventions.h"

#include <math.h>

static void describe(struct config_reader *config, struct model_description *d) {
    (void)config;
    d->position = POSITION_LEARNED;
    d->qkv_packing = QKV_CONCATENATED;
    d->transposed = true;
}

static void describe_layers(struct config_reader *config, struct model_description *d) {
    bool scaled = config_bool(config, "scale_attn_weights", true);
    bool by_layer = config_bool(config, "scale_attn_by_inverse_layer_idx", false);
    for (size_t i = 0; i < d->layers; i++) {
        d->layer[i].attention_scale = scaled ? 1 / sqrt((double)d->head_dim) : 1;
        if (by_layer) d->layer[i].attention_scale /= (double)(i + 1);
    }
}

const struct family family_gpt2 = {
    .model_type = "gpt2",
    .prefix = "transformer.",
    .names = {NULL, names_gpt2},
    .biases = WEIGHTS_NORMS | WEIGHTS_LINEARS,
    .buffers = TEXTS(ATTENTION_BUFFERS),
    /* reorder_and_upcast_attn and apply_query_key_layer_scaling are about precision in float16 training: the
     * engine computes in float32. normalize_attention_scores is Megatron's word for scale_attn_weights, which
     * gpt-sw3 writes and the library does not read. */
    .ignored_keys = TEXTS("apply_query_key_layer_scaling", "n_ctx", "n_special", "normalize_attention_scores",
                          "predict_special_tokens", "reorder_and_upcast_attn", KEYS_SUMMARY),
    .keys = &keys_gpt2,
    .sizes = {.vocabulary = 50257, .context = 1024, .width = 768, .layers = 12, .heads = 12},
    .mlp_width = {"n_inner", FOUR_WIDTHS},
    .norm_eps = {"layer_norm_epsilon", 1e-5},
    .activation = {"activation_function", "gelu_new"},
    .tied = true,
    .tokens = {50256, 50256, -1},
    .describe = describe,
    .describe_layers = describe_layers,
};
