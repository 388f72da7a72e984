/* GPT-BigCode (SantaCoder, StarCoder; Li et al. 2023): GPT-2 with [out, in] matrices and, as a rule, one
 * key/value head. */
#include "engine/model/families/conventions.h"

static void describe(struct config_reader *config, struct model_description *d) {
    bool multi_query = config_bool(config, "multi_query", true);
    d->position = POSITION_LEARNED;
    d->kv_heads = multi_query ? 1 : d->heads;
    d->qkv_packing = multi_query ? QKV_CONCATENATED : QKV_PER_HEAD;
    config_demand_bool(config, "scale_attn_by_inverse_layer_idx", false, false, NO_REFERENCE);
}

static void describe_layers(struct config_reader *config, struct model_description *d) {
    bool scaled = config_bool(config, "scale_attn_weights", true);
    for (size_t i = 0; i < d->layers && !scaled; i++) d->layer[i].attention_scale = 1;
}

const struct family family_gpt_bigcode = {
    .model_type = "gpt_bigcode",
    .prefix = "transformer.",
    .names = {NULL, names_gpt2},
    .biases = WEIGHTS_NORMS | WEIGHTS_LINEARS,
    .buffers = TEXTS(ATTENTION_BUFFERS, "transformer.bias"),
    /* num_key_value_heads follows from multi_query; the rest is about precision, caches and classifiers. */
    .ignored_keys = TEXTS("inference_runner", "max_batch_size", "n_ctx", "num_key_value_heads",
                          "pad_key_length", "pre_allocate_kv_cache", "reorder_and_upcast_attn",
                          "scale_attention_softmax_in_fp32", "validate_runner_input", KEYS_SUMMARY),
    .keys = &keys_gpt2,
    .sizes = {.vocabulary = 50257, .context = 1024, .width = 768, .layers = 12, .heads = 12},
    .mlp_width = {"n_inner", FOUR_WIDTHS},
    .norm_eps = {"layer_norm_epsilon", 1e-5},
    .activation = {"activation_function", "gelu_pytorch_tanh"},
    .tied = true,
    .tokens = {50256, 50256, -1},
    .describe = describe,
    .describe_layers = describe_layers,
};
