#include "engine/model/families/conventions.h"

#include <math.h>

const struct size_keys keys_gpt2 = {
    .context = {"n_positions", "max_position_embeddings"},
    .width = {"n_embd", "hidden_size"},
    .layers = {"n_layer", "num_hidden_layers"},
    .heads = {"n_head", "num_attention_heads"},
};

const struct size_keys keys_llama = {
    .context = {"max_position_embeddings", NULL},
    .width = {"hidden_size", NULL},
    .layers = {"num_hidden_layers", NULL},
    .heads = {"num_attention_heads", NULL},
};

const struct weight_name names_gpt2[] = {
    {WEIGHT_EMBEDDING, "wte"},
    {WEIGHT_POSITION, "wpe"},
    {WEIGHT_FINAL_NORM, "ln_f"},
    {WEIGHT_HEAD, "lm_head"},
    {WEIGHT_ATTENTION_NORM, "h.%zu.ln_1"},
    {WEIGHT_MLP_NORM, "h.%zu.ln_2"},
    {WEIGHT_QKV, "h.%zu.attn.c_attn"},
    {WEIGHT_ATTENTION_OUT, "h.%zu.attn.c_proj"},
    {WEIGHT_MLP_UP, "h.%zu.mlp.c_fc"},
    {WEIGHT_MLP_DOWN, "h.%zu.mlp.c_proj"},
    NAMES_END,
};

const struct weight_name names_neox[] = {
    {WEIGHT_EMBEDDING, "embed_in"},
    {WEIGHT_FINAL_NORM, "final_layer_norm"},
    {WEIGHT_HEAD, "embed_out"},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.input_layernorm"},
    {WEIGHT_MLP_NORM, "layers.%zu.post_attention_layernorm"},
    {WEIGHT_QKV, "layers.%zu.attention.query_key_value"},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.attention.dense"},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.dense_h_to_4h"},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.dense_4h_to_h"},
    NAMES_END,
};

const struct weight_name names_bloom[] = {
    {WEIGHT_EMBEDDING, "word_embeddings"},
    {WEIGHT_EMBEDDING_NORM, "word_embeddings_layernorm"},
    {WEIGHT_FINAL_NORM, "ln_f"},
    {WEIGHT_HEAD, "lm_head"},
    {WEIGHT_ATTENTION_NORM, "h.%zu.input_layernorm"},
    {WEIGHT_MLP_NORM, "h.%zu.post_attention_layernorm"},
    {WEIGHT_QKV, "h.%zu.self_attention.query_key_value"},
    {WEIGHT_ATTENTION_OUT, "h.%zu.self_attention.dense"},
    {WEIGHT_MLP_UP, "h.%zu.mlp.dense_h_to_4h"},
    {WEIGHT_MLP_DOWN, "h.%zu.mlp.dense_4h_to_h"},
    NAMES_END,
};

const struct weight_name names_llama[] = {
    {WEIGHT_EMBEDDING, "embed_tokens"},
    {WEIGHT_FINAL_NORM, "norm"},
    {WEIGHT_HEAD, "lm_head"},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.input_layernorm"},
    {WEIGHT_MLP_NORM, "layers.%zu.post_attention_layernorm"},
    {WEIGHT_QUERY, "layers.%zu.self_attn.q_proj"},
    {WEIGHT_KEY, "layers.%zu.self_attn.k_proj"},
    {WEIGHT_VALUE, "layers.%zu.self_attn.v_proj"},
    {WEIGHT_QUERY_NORM, "layers.%zu.self_attn.q_norm"},
    {WEIGHT_KEY_NORM, "layers.%zu.self_attn.k_norm"},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.self_attn.o_proj"},
    {WEIGHT_MLP_GATE, "layers.%zu.mlp.gate_proj"},
    {WEIGHT_MLP_UP, "layers.%zu.mlp.up_proj"},
    {WEIGHT_MLP_DOWN, "layers.%zu.mlp.down_proj"},
    NAMES_END,
};

const struct weight_name names_fairseq[] = {
    {WEIGHT_EMBEDDING, "embed_tokens"},
    {WEIGHT_POSITION, "embed_positions"},
    {WEIGHT_FINAL_NORM, "layer_norm"},
    {WEIGHT_HEAD, "lm_head"},
    {WEIGHT_ATTENTION_NORM, "layers.%zu.self_attn_layer_norm"},
    {WEIGHT_MLP_NORM, "layers.%zu.final_layer_norm"},
    {WEIGHT_QUERY, "layers.%zu.self_attn.q_proj"},
    {WEIGHT_KEY, "layers.%zu.self_attn.k_proj"},
    {WEIGHT_VALUE, "layers.%zu.self_attn.v_proj"},
    {WEIGHT_ATTENTION_OUT, "layers.%zu.self_attn.out_proj"},
    {WEIGHT_MLP_UP, "layers.%zu.fc1"},
    {WEIGHT_MLP_DOWN, "layers.%zu.fc2"},
    NAMES_END,
};

const struct weight_name names_gemma2[] = {
    {WEIGHT_ATTENTION_POST_NORM, "layers.%zu.post_attention_layernorm"},
    {WEIGHT_MLP_NORM, "layers.%zu.pre_feedforward_layernorm"},
    {WEIGHT_MLP_POST_NORM, "layers.%zu.post_feedforward_layernorm"},
    NAMES_END,
};

void refuse_residual_behind_norm(struct config_reader *config) {
    config_demand_bool(config, "apply_residual_connection_post_layernorm", false, false,
                       "adds the norm's output to the residual stream: it is not Pre-LN");
}

void describe_gptj_block(struct config_reader *config, struct model_description *d) {
    config_demand_bool(config, "rotary", true, true, NO_REFERENCE);
    config_demand_bool(config, "scale_attn_weights", true, true, NO_REFERENCE);
    config_refuse_null(config, "rotary_dim");
    d->position = POSITION_ROTARY;
    d->rotary.interleaved = true;
    d->rotary.dimensions = config_size(config, "rotary_dim", 64, 2, MODEL_HEAD_DIM_MAX);
    d->residual = RESIDUAL_PARALLEL_ONE_NORM;
}

void describe_cohere_block(struct config_reader *config, struct model_description *d) {
    d->logit_scale = config_real(config, "logit_scale", 0.0625, -1e6, 1e6);
    d->rotary.interleaved = true;
    d->gated = true;
    d->residual = RESIDUAL_PARALLEL_ONE_NORM;
    config_biases(d, config_bool(config, "attention_bias", false), WEIGHTS_ATTENTION);
}

void describe_rms_block(struct model_description *d) {
    d->norm_type = NORM_TYPE_RMSNORM;
    d->gated = true;
}

void describe_rms_block_unbiased(struct config_reader *config, struct model_description *d) {
    describe_rms_block(d);
    config_demand_bool(config, "attention_bias", false, false, NO_REFERENCE);
    config_demand_bool(config, "mlp_bias", false, false, NO_REFERENCE);
}

void describe_llama_block(struct config_reader *config, struct model_description *d) {
    describe_rms_block(d);
    config_biases(d, config_bool(config, "attention_bias", false), WEIGHTS_ATTENTION);
    config_biases(d, config_bool(config, "mlp_bias", false), WEIGHTS_MLP);
}

void describe_qwen_windows(struct config_reader *config, struct model_description *d) {
    bool windows = config_bool(config, "use_sliding_window", false);
    size_t window = config_is_null(config, "sliding_window") ? 0 : 4096;
    window = config_size(config, "sliding_window", window, 1, MODEL_CONTEXT_MAX);
    size_t full = config_size(config, "max_window_layers", 28, 0, MODEL_LAYERS_MAX);
    if (!windows) window = 0;
    for (size_t i = 0; i < d->layers; i++) d->layer[i].window = i < full ? 0 : window;
    if (config_has(config, "layer_types")) config_layer_windows(config, d, window, 1);
}

void describe_gemma_block(struct config_reader *config, struct model_description *d) {
    describe_rms_block(d);
    d->norm_gain_offset = 1;
    d->embedding_scale = sqrt((double)d->width);
    config_biases(d, config_bool(config, "attention_bias", false), WEIGHTS_ATTENTION);
    config_demand_bool(config, "use_bidirectional_attention", false, false,
                       "lets tokens see what follows them: only causal models are served");
}

void describe_gemma_layers(struct config_reader *config, struct model_description *d, size_t period) {
    config_refuse_null(config, "sliding_window");
    config_refuse_null(config, "query_pre_attn_scalar");
    double scalar = config_real(config, "query_pre_attn_scalar", 256, 1e-6, 1e6);
    config_layer_windows(config, d, config_size(config, "sliding_window", 4096, 1, MODEL_CONTEXT_MAX),
                         period);
    for (size_t i = 0; i < d->layers; i++) d->layer[i].attention_scale = 1 / sqrt(scalar);
}

double config_cap(struct config_reader *config, const char *key, double fallback) {
    return config_real(config, key, config_is_null(config, key) ? 0 : fallback, 1e-6, 1e9);
}
