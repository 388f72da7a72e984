#include "engine/model/families/conventions.h"

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

void refuse_residual_behind_norm(struct config_reader *config) {
    config_demand_bool(config, "apply_residual_connection_post_layernorm", false, false,
                       "adds the norm's output to the residual stream: it is not Pre-LN");
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

void describe_window(struct config_reader *config, struct model_description *d) {
    size_t window = config_size(config, "sliding_window", 0, 1, MODEL_CONTEXT_MAX);
    for (size_t i = 0; i < d->layers; i++) d->layer[i].window = window;
}
