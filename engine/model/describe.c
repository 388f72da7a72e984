#include "engine/model/describe.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/log.h"
#include "engine/files/json_file.h"
#include "engine/model/config_generic.h"
#include "engine/model/config_sizes.h"
#include "engine/model/config_unknown.h"
#include "engine/model/generation_config.h"

static bool add_end_token(struct model_description *d, const json_t *id) {
    json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
    if (value < 0 || (size_t)value >= d->vocabulary || d->end_count == END_TOKENS_MAX) return false;
    d->end_tokens[d->end_count++] = (int32_t)value;
    return true;
}

/* A number or a list. Ids beyond the vocabulary can never be sampled and are left out. */
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

/* The family's defaults are set already and hold where a key is absent; null means none. generation:
 * generation_config.json, or NULL. */
static void read_special_tokens(const json_t *generation, struct config_reader *config,
                                struct model_description *d) {
    if (has_key(config, "bos_token_id")) d->bos = read_token(d, config_value(config, "bos_token_id"));
    if (has_key(config, "pad_token_id")) d->pad = read_token(d, config_value(config, "pad_token_id"));
    if (has_key(config, "eos_token_id")) read_end_tokens(d, config_value(config, "eos_token_id"));
    /* The end tokens are those of generation_config.json, else of config.json. */
    const json_t *end = json_object_get(generation, "eos_token_id");
    if (end && !json_is_null(end)) read_end_tokens(d, end);
}

/* Drops default ids of the family that are beyond this vocabulary. */
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

static void read_traits(const struct family *family, struct config_reader *config,
                        struct model_description *d) {
    config_sizes(config, family, d);
    if (family->describe) family->describe(config, d);
    if (config_failed(config) || description_layers_init(d, &config->error) != STATUS_OK) return;
    if (family->describe_layers) family->describe_layers(config, d);
}

/* What a model folder holds in JSON. generation: NULL where there is none. */
struct sources {
    const json_t *config, *generation;
    const struct describe_options *options;
};

static void check_unknown(const struct family *family, const struct sources *s, struct config_reader *config,
                          struct model_description *d) {
    config_know_generic(config);
    config_know(config, family->ignored_keys);
    config_check_unknown(config, family, s->options->allow_unknown_config_keys);
    snprintf(d->unknown_keys, sizeof d->unknown_keys, "%s", config->unknown);
}

static enum status describe_with(const struct family *family, const struct sources *s,
                                 struct model_description *d, struct error *e) {
    struct config_reader config;
    enum status status = config_reader_init(&config, s->config, "config.json", family->model_type, e);
    if (status != STATUS_OK) return status;
    snprintf(d->family, sizeof d->family, "%s", family->model_type);
    d->names = &family->names;
    config_refuse_generic(&config);
    read_traits(family, &config, d);
    if (!d->embedding_width) d->embedding_width = d->width;
    if (!config_failed(&config)) check_consistency(&config, d);
    if (!config_failed(&config)) read_special_tokens(s->generation, &config, d);
    drop_tokens_beyond(d);
    generation_defaults_read(&d->generation, s->generation ? s->generation : s->config);
    if (!config_failed(&config)) check_unknown(family, s, &config, d);
    status = config.error.code;
    if (status != STATUS_OK && e) *e = config.error;
    config_reader_deinit(&config);
    return status;
}

static enum status describe(const struct sources *s, struct model_description *d,
                            const struct family **family, struct error *e) {
    const char *model_type = json_string_value(json_object_get(s->config, "model_type"));
    if (!json_is_object(s->config) || !model_type)
        return error_set(e, STATUS_MALFORMED, "config.json",
                         "has no model_type: expected an object with that key");
    *family = family_find(model_type, e);
    return *family ? describe_with(*family, s, d, e) : STATUS_UNSUPPORTED;
}

enum status describe_model(const char *folder, struct model_description *d, const struct family **family,
                           struct error *e) {
    return describe_model_with(folder, &(struct describe_options){0}, d, family, e);
}

/* What generation_config.json says is beside the mathematics: where it is broken the defaults hold. */
static enum status forgive_generation(enum status status, const struct error *cause, struct error *e) {
    if (status == STATUS_NO_MEMORY && e) *e = *cause;
    if (status == STATUS_NO_MEMORY) return status;
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        log_warn("%s: %s: passed over, as if it was not there", cause->where, cause->text);
    return STATUS_OK;
}

enum status describe_model_with(const char *folder, const struct describe_options *options,
                                struct model_description *d, const struct family **family, struct error *e) {
    description_init(d);
    json_t *root = NULL, *generation = NULL;
    struct error broken;
    enum status status =
        json_file_load_as(folder, "config.json", CONFIG_BYTES_MAX, JSON_FILE_AS_PYTHON, &root, e);
    if (status != STATUS_OK) return status;
    status = json_file_load_as(folder, "generation_config.json", CONFIG_BYTES_MAX, JSON_FILE_AS_PYTHON,
                               &generation, &broken);
    status = forgive_generation(status, &broken, e);
    if (status == STATUS_OK) status = describe(&(struct sources){root, generation, options}, d, family, e);
    json_decref(generation);
    json_decref(root);
    return status;
}

enum status describe_model_texts(const struct describe_texts *texts, struct model_description *d,
                                 const struct family **family, struct error *e) {
    description_init(d);
    json_t *root = NULL, *generation = NULL;
    struct error broken;
    enum status status = json_file_parse_as(texts->config, texts->config_length, "config.json",
                                            JSON_FILE_VALUES_MAX, JSON_FILE_AS_PYTHON, &root, e);
    if (status == STATUS_OK && texts->generation) {
        status = json_file_parse_as(texts->generation, texts->generation_length, "generation_config.json",
                                    JSON_FILE_VALUES_MAX, JSON_FILE_AS_PYTHON, &generation, &broken);
        status = forgive_generation(status, &broken, e);
    }
    if (status == STATUS_OK)
        status = describe(&(struct sources){root, generation, &texts->options}, d, family, e);
    json_decref(generation);
    json_decref(root);
    return status;
}
