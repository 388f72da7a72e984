#include "engine/model/describe.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/log.h"
#include "engine/load/json_file.h"

#define CONFIG_BYTES_MAX (4u << 20)

/* Keys that transformers writes into any config and that say nothing about the mathematics. */
static const char *const generic_keys[] = {
    "_name_or_path", "architectures", "auto_map", "transformers_version", "torch_dtype", "dtype", "use_cache",
    "initializer_range", "gradient_checkpointing", "output_attentions", "output_hidden_states", "return_dict",
    "task_specific_params", "id2label", "label2id", "finetuning_task", "problem_type", "is_decoder",
    "is_encoder_decoder", "tokenizer_class", "sep_token_id", "decoder_start_token_id", "max_length", "min_length",
    "do_sample", "temperature", "top_k", "top_p", "chunk_size_feed_forward", "model_type", NULL,
};

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
    else add_end_token(d, value);
}

static int32_t read_token(const struct model_description *d, const json_t *value) {
    json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
    return id >= 0 && (size_t)id < d->vocabulary ? (int32_t)id : -1;
}

/* The end tokens are those of generation_config.json, else of config.json. */
static void read_special_tokens(const char *folder, struct config_reader *config, struct model_description *d) {
    d->bos = read_token(d, config_value(config, "bos_token_id"));
    d->pad = read_token(d, config_value(config, "pad_token_id"));
    read_end_tokens(d, config_value(config, "eos_token_id"));
    json_t *generation = NULL;
    struct error why;
    enum status status = json_file_load(folder, "generation_config.json", CONFIG_BYTES_MAX, &generation, &why);
    if (status == STATUS_NOT_FOUND) return;
    if (status != STATUS_OK) {
        config->error = why;
        return;
    }
    const json_t *end = json_object_get(generation, "eos_token_id");
    if (end && !json_is_null(end)) read_end_tokens(d, end);
    json_decref(generation);
}

static void check_consistency(struct config_reader *r, const struct model_description *d) {
    if (d->head_dim == 0 || d->head_dim > MODEL_HEAD_DIM_MAX)
        config_refuse(r, "a head dimension of %zu is out of range: expected 1 to %d", d->head_dim, MODEL_HEAD_DIM_MAX);
    else if (d->kv_heads == 0 || d->heads % d->kv_heads)
        config_refuse(r, "%zu query heads can't share %zu key/value heads evenly", d->heads, d->kv_heads);
    if (d->position == POSITION_ROTARY &&
        (d->rotary.dimensions % 2 || d->rotary.dimensions > d->head_dim || d->rotary.dimensions == 0))
        config_refuse(r, "%zu rotary dimensions do not fit a head of %zu: expected an even number", d->rotary.dimensions,
                      d->head_dim);
}

static void warn_unknown(void *context, const char *key) {
    const char *model_type = context;
    log_warn("config.json: %s does not know the key \"%.60s\": it is ignored", model_type, key);
}

static enum status describe_with(const struct family *family, const char *folder, const json_t *root,
                                 struct model_description *d, struct error *e) {
    struct config_reader config;
    enum status status = config_reader_init(&config, root, "config.json", family->model_type, e);
    if (status != STATUS_OK) return status;
    snprintf(d->family, sizeof d->family, "%s", family->model_type);
    for (const struct weight_name *n = family->names; n->name; n++) d->bias[n->weight] = n->bias;
    family->describe(&config, d);
    if (!d->embedding_width) d->embedding_width = d->width;
    if (!config_failed(&config)) check_consistency(&config, d);
    if (!config_failed(&config)) read_special_tokens(folder, &config, d);
    if (config_failed(&config)) {
        if (e) *e = config.error;
        status = config.error.code;
    } else {
        config_know(&config, generic_keys);
        config_know(&config, family->ignored_keys);
        config_each_unknown(&config, warn_unknown, (void *)(uintptr_t)family->model_type);
    }
    config_reader_deinit(&config);
    return status;
}

enum status describe_model(const char *folder, struct model_description *d, const struct family **family,
                           struct error *e) {
    description_init(d);
    json_t *root = NULL;
    enum status status = json_file_load(folder, "config.json", CONFIG_BYTES_MAX, &root, e);
    if (status != STATUS_OK) return status;
    const char *model_type = json_string_value(json_object_get(root, "model_type"));
    if (!json_is_object(root) || !model_type) {
        status = error_set(e, STATUS_MALFORMED, "config.json", "has no model_type: expected an object with that key");
    } else {
        *family = family_find(model_type, e);
        status = *family ? describe_with(*family, folder, root, d, e) : STATUS_UNSUPPORTED;
    }
    json_decref(root);
    return status;
}
