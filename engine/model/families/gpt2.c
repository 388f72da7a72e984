/* GPT-2 (Radford et al. 2019), gpt-sw3: sequential, learned positions, c_attn = Conv1D [in, out] of q | k | v.
 * GPT-BigCode (SantaCoder, StarCoder; Li et al. 2023): GPT-2 with [out, in] matrices and, as a rule, one key/value
 * head. */
#include "engine/model/families/conventions.h"

#include <math.h>

static void describe_gpt2(struct config_reader *config, struct model_description *d) {
    (void)config;
    d->position = POSITION_LEARNED;
    d->qkv_packing = QKV_CONCATENATED;
    d->transposed = true;
}

static void describe_layers_gpt2(struct config_reader *config, struct model_description *d) {
    bool scaled = config_bool(config, "scale_attn_weights", true);
    bool by_layer = config_bool(config, "scale_attn_by_inverse_layer_idx", false);
    for (size_t i = 0; i < d->layers; i++) {
        d->layer[i].attention_scale = scaled ? 1 / sqrt((double)d->head_dim) : 1;
        if (by_layer) d->layer[i].attention_scale /= (double)(i + 1);
    }
}

static void describe_bigcode(struct config_reader *config, struct model_description *d) {
    bool multi_query = config_bool(config, "multi_query", true);
    d->position = POSITION_LEARNED;
    d->kv_heads = multi_query ? 1 : d->heads;
    d->qkv_packing = multi_query ? QKV_CONCATENATED : QKV_PER_HEAD;
    config_demand_bool(config, "scale_attn_by_inverse_layer_idx", false, false, NO_REFERENCE);
}

static void describe_layers_bigcode(struct config_reader *config, struct model_description *d) {
    bool scaled = config_bool(config, "scale_attn_weights", true);
    for (size_t i = 0; i < d->layers && !scaled; i++) d->layer[i].attention_scale = 1;
}

const struct family family_gpt2 = {
    .model_type = "gpt2",
    LIKE_GPT2,
    /* reorder_and_upcast_attn and apply_query_key_layer_scaling are about precision in float16 training: the
     * engine computes in float32. normalize_attention_scores is Megatron's word for scale_attn_weights, which
     * gpt-sw3 writes and the library does not read. */
    .ignored_keys = TEXTS("apply_query_key_layer_scaling", "n_ctx", "n_special", "normalize_attention_scores",
                          "predict_special_tokens", "reorder_and_upcast_attn", KEYS_SUMMARY),
    .describe = describe_gpt2,
    .describe_layers = describe_layers_gpt2,
};

const struct family family_gpt_bigcode = {
    .model_type = "gpt_bigcode",
    LIKE_GPT2,
    .buffers = TEXTS(ATTENTION_BUFFERS, "transformer.bias"),
    /* num_key_value_heads follows from multi_query; the rest is about precision, caches and classifiers. */
    .ignored_keys = TEXTS("inference_runner", "max_batch_size", "n_ctx", "num_key_value_heads",
                          "pad_key_length", "pre_allocate_kv_cache", "reorder_and_upcast_attn",
                          "scale_attention_softmax_in_fp32", "validate_runner_input", KEYS_SUMMARY),
    .activation.fallback = "gelu_pytorch_tanh",
    .describe = describe_bigcode,
    .describe_layers = describe_layers_bigcode,
};
