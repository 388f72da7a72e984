#include "engine/model/config_generic.h"

/* Keys that transformers writes into any config and that say nothing about the mathematics of one forward
 * pass: what training and generation do by default, how the file came about, how precisely and in what layout
 * things are computed. */
static const char *const generic_keys[] = {
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "_num_labels",
    "activation_dropout",
    "add_cross_attention",
    "architectures",
    "attention_dropout",
    "attention_probs_dropout_prob",
    "attn_implementation",
    "attn_pdrop",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "cache_implementation",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dropout",
    "dtype",
    "early_stopping",
    "embd_pdrop",
    "embed_dropout",
    "embedding_dropout",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout",
    "hidden_dropout_prob",
    "id2label",
    "init_std",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "layerdrop",
    "length_penalty",
    "max_length",
    "min_length",
    "model_type",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_scores",
    "pad_token_id",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_dropout",
    "resid_pdrop",
    "residual_dropout",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "use_bfloat16",
    "use_cache",
    NULL,
};

/* Keys of a mixture of experts. */
static const char *const expert_keys[] = {
    "num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "num_experts_per_tok", NULL,
};

/* What no family is served with, whatever its adapter knows. */
void config_refuse_generic(struct config_reader *r) {
    if (config_has(r, "quantization_config") || config_has(r, "compression_config"))
        config_refuse(
            r, "%s: the weights are stored quantised, which is not supported; expected F32, F16 or BF16",
            config_has(r, "quantization_config") ? "quantization_config" : "compression_config");
    config_demand_bool(r, "is_encoder_decoder", false, false, "needs an encoder: only decoders are served");
    config_demand_bool(r, "add_cross_attention", false, false, "needs an encoder: only decoders are served");
    for (const char *const *key = expert_keys; *key; key++)
        if (config_has(r, *key)) config_refuse(r, "%s: a mixture of experts is not supported", *key);
    if (json_object_size(config_value(r, "pruned_heads"))) config_refuse(r, "pruned_heads is not supported");
}

void config_know_generic(struct config_reader *r) {
    config_know(r, generic_keys);
}
