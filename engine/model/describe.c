#include "engine/model/describe.h"

#include <stdio.h>
#include <string.h>

#include "engine/load/json_file.h"

#define CONFIG_BYTES_MAX (4u << 20)

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
    "problem_type",
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
static void refuse_generic(struct config_reader *r) {
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

static bool add_end_token(struct model_description *d, const json_t *id) {
    json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
    if (value < 0 || (size_t)value >= d->vocabulary || d->end_count == MODEL_END_TOKENS_MAX) return false;
    d->end_tokens[d->end_count++] = (int32_t)value;
    return true;
}

/* A number or a list; ids that the vocabulary does not have can't be sampled and are passed over. */
static void read_end_tokens(struct model_description *d, const json_t *value) {
    d->end_count = 0;
    if (json_is_array(value))
        for (size_t i = 0; i < json_array_size(value); i++) add_end_token(d, json_array_get(value, i));
    else
        add_end_token(d, value);
}

static int32_t read_token(const struct model_description *d, const json_t *value) {
    json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
    return id >= 0 && (size_t)id < d->vocabulary ? (int32_t)id : -1;
}

static bool has_key(const struct config_reader *config, const char *key) {
    return json_object_get(config->root, key) != NULL;
}

/* The adapter has set the family's defaults, which hold where a key is absent; null means none. generation:
 * of generation_config.json, or NULL. */
static void read_special_tokens(const json_t *generation, struct config_reader *config,
                                struct model_description *d) {
    if (has_key(config, "bos_token_id")) d->bos = read_token(d, config_value(config, "bos_token_id"));
    if (has_key(config, "pad_token_id")) d->pad = read_token(d, config_value(config, "pad_token_id"));
    if (has_key(config, "eos_token_id")) read_end_tokens(d, config_value(config, "eos_token_id"));
    /* The end tokens are those of generation_config.json, else of config.json. */
    const json_t *end = json_object_get(generation, "eos_token_id");
    if (end && !json_is_null(end)) read_end_tokens(d, end);
}

/* A default of the family that this vocabulary does not reach does not exist. */
static void drop_tokens_beyond(struct model_description *d) {
    if (d->bos >= 0 && (size_t)d->bos >= d->vocabulary) d->bos = -1;
    if (d->pad >= 0 && (size_t)d->pad >= d->vocabulary) d->pad = -1;
    if (d->end_count == 1 && (size_t)d->end_tokens[0] >= d->vocabulary) d->end_count = 0;
}

static void check_consistency(struct config_reader *r, const struct model_description *d) {
    if (d->head_dim == 0 || d->head_dim > MODEL_HEAD_DIM_MAX)
        config_refuse(r, "a head dimension of %zu is out of range: expected 1 to %d", d->head_dim,
                      MODEL_HEAD_DIM_MAX);
    else if (d->kv_heads == 0 || d->heads % d->kv_heads)
        config_refuse(r, "%zu query heads can't share %zu key/value heads evenly", d->heads, d->kv_heads);
    if (d->position == POSITION_ROTARY &&
        (d->rotary.dimensions % 2 || d->rotary.dimensions > d->head_dim || d->rotary.dimensions == 0))
        config_refuse(r, "%zu rotary dimensions do not fit a head of %zu: expected an even number",
                      d->rotary.dimensions, d->head_dim);
}

static enum status describe_with(const struct family *family, const json_t *generation, const json_t *root,
                                 struct model_description *d, struct error *e) {
    struct config_reader config;
    enum status status = config_reader_init(&config, root, "config.json", family->model_type, e);
    if (status != STATUS_OK) return status;
    snprintf(d->family, sizeof d->family, "%s", family->model_type);
    d->names = family->names;
    for (const struct weight_name *n = family->names; n->name; n++) d->bias[n->weight] = n->bias;
    refuse_generic(&config);
    family->describe(&config, d);
    if (!d->embedding_width) d->embedding_width = d->width;
    if (!config_failed(&config)) check_consistency(&config, d);
    if (!config_failed(&config)) read_special_tokens(generation, &config, d);
    drop_tokens_beyond(d);
    if (config_failed(&config)) {
        if (e) *e = config.error;
        status = config.error.code;
    } else {
        config_know(&config, generic_keys);
        config_know(&config, family->ignored_keys);
        config_warn_unknown(&config);
    }
    config_reader_deinit(&config);
    return status;
}

static enum status describe(const json_t *root, const json_t *generation, struct model_description *d,
                            const struct family **family, struct error *e) {
    const char *model_type = json_string_value(json_object_get(root, "model_type"));
    if (!json_is_object(root) || !model_type)
        return error_set(e, STATUS_MALFORMED, "config.json",
                         "has no model_type: expected an object with that key");
    *family = family_find(model_type, e);
    return *family ? describe_with(*family, generation, root, d, e) : STATUS_UNSUPPORTED;
}

enum status describe_model(const char *folder, struct model_description *d, const struct family **family,
                           struct error *e) {
    description_init(d);
    json_t *root = NULL, *generation = NULL;
    struct error absent; /* no generation_config.json is no error */
    enum status status = json_file_load(folder, "config.json", CONFIG_BYTES_MAX, &root, e);
    if (status != STATUS_OK) return status;
    status = json_file_load(folder, "generation_config.json", CONFIG_BYTES_MAX, &generation, &absent);
    if (status == STATUS_OK || status == STATUS_NOT_FOUND)
        status = describe(root, generation, d, family, e);
    else if (e)
        *e = absent;
    json_decref(generation);
    json_decref(root);
    return status;
}

enum status describe_model_texts(const struct describe_texts *texts, struct model_description *d,
                                 const struct family **family, struct error *e) {
    description_init(d);
    json_t *root = NULL, *generation = NULL;
    enum status status =
        json_file_parse(texts->config, texts->config_length, "config.json", JSON_FILE_VALUES_MAX, &root, e);
    if (status == STATUS_OK && texts->generation)
        status = json_file_parse(texts->generation, texts->generation_length, "generation_config.json",
                                 JSON_FILE_VALUES_MAX, &generation, e);
    if (status == STATUS_OK) status = describe(root, generation, d, family, e);
    json_decref(generation);
    json_decref(root);
    return status;
}
