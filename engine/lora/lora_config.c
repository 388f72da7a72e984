#include "engine/lora/lora_config.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/files/json_file.h"
#include "engine/model/config_reader.h"

/* Far beyond any adapter; what is computed from it stays finite. */
#define ALPHA_MAX 1e9

/* Settings that change what the adapter computes and are not implemented. */
static const struct {
    const char *key, *reason;
} refused[] = {
    {"use_dora", "DoRA, which scales the merged rows by magnitudes of its own, is not supported"},
    {"lora_bias", "lora_B with a bias is not supported"},
    {"layer_replication", "replicating layers of the base is not supported"},
    {"target_parameters", "adapters of parameters outside of linears (experts) are not supported"},
    {"trainable_token_indices", "trained rows of the embedding are not supported"},
    {"alora_invocation_tokens", "activated LoRA, which counts from some token on, is not supported"},
    {"use_qalora", "QALoRA is not supported"},
    {"megatron_config", "adapters of Megatron's parallel layers are not supported"},
    {"arrow_config", "Arrow, which chooses among adapters token by token, is not supported"},
    {"ensure_weight_tying", "adapters that are tied to each other are not supported"},
    {"use_bdlora", "block-diagonal LoRA is not supported"},
    {"kasa_config", "KaSA is not supported"},
    {"monteclora_config", "MonteCLoRA is not supported"},
    {"velora_config", "VeLoRA is not supported"},
};

/* What init_lora_weights may be: these leave the base as it is, others (pissa, olora, loftq, ...) change it. */
static const char *const harmless_beginnings[] = {"gaussian", "eva", "orthogonal"};

/* Of training, or about the file. */
static const char *const ignored_keys[] = {
    "auto_mapping",   "peft_version",   "revision",       "inference_mode",    "task_type",
    "lora_dropout",   "fan_in_fan_out", "eva_config",     "corda_config",      "loftq_config",
    "lora_ga_config", "megatron_core",  "runtime_config", "qalora_group_size", NULL,
};

static bool says_something(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return json_object_size(value) > 0;
    case JSON_ARRAY:
        return json_array_size(value) > 0;
    case JSON_STRING:
        return json_string_length(value) > 0;
    case JSON_NULL:
    case JSON_FALSE:
        return false;
    default:
        return !json_is_number(value) || json_number_value(value) != 0;
    }
}

static void refuse_type(struct config_reader *r) {
    const char *type = config_text(r, "peft_type", NULL);
    if (type && strcmp(type, "LORA") != 0)
        config_refuse(r, "an adapter of the type %.40s is not supported, only LORA is", type);
    else if (!type)
        config_refuse(r, "has no peft_type: expected \"LORA\"");
}

static void refuse_settings(struct config_reader *r) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const json_t *value = config_value(r, refused[i].key);
        if (value && says_something(value)) config_refuse(r, "%s: %s", refused[i].key, refused[i].reason);
    }
}

static void refuse_beginning(struct config_reader *r) {
    const json_t *value = config_value(r, "init_lora_weights");
    const char *text = json_string_value(value);
    if (!value || json_is_boolean(value)) return;
    for (size_t i = 0; i < sizeof harmless_beginnings / sizeof *harmless_beginnings; i++)
        if (text && strcasecmp(text, harmless_beginnings[i]) == 0) return;
    config_refuse(
        r,
        "init_lora_weights \"%.40s\" changes the weights of the base: have PEFT convert the adapter "
        "to one of the unchanged base (path_initial_model_for_weight_conversion)",
        text ? text : "?");
}

/* A key that is not known may change the result, unless it says nothing. */
static void refuse_unknown(struct config_reader *r) {
    const char *key;
    json_t *value;
    config_know(r, ignored_keys);
    json_object_foreach((json_t *)r->root, key, value) {
        if (!says_something(value)) config_know(r, (const char *const[]){key, NULL});
    }
    config_gather_unknown(r);
    if (r->unknown_count)
        config_refuse(r, "settings that are not known, and may change what the adapter does: %s", r->unknown);
}

static void check_layers(struct config_reader *r, const struct lora_config *c) {
    bool good = !c->layers || json_is_integer(c->layers) || json_is_array(c->layers);
    for (size_t i = 0; json_is_array(c->layers) && i < json_array_size(c->layers); i++)
        good = good && json_is_integer(json_array_get(c->layers, i));
    if (!good) config_refuse(r, "layers_to_transform is neither a number nor a list of numbers");
    good = !c->layer_container || json_is_string(c->layer_container) || json_is_array(c->layer_container);
    for (size_t i = 0; json_is_array(c->layer_container) && i < json_array_size(c->layer_container); i++)
        good = good && json_is_string(json_array_get(c->layer_container, i));
    if (!good) config_refuse(r, "layers_pattern is neither a name nor a list of names");
}

static void read_numbers(struct config_reader *r, struct lora_config *c) {
    static const char *const biases[] = {"none", "all", "lora_only", NULL};
    c->rank = config_size(r, "r", 8, 1, LORA_RANK_MAX);
    c->alpha = config_real(r, "lora_alpha", 8, -ALPHA_MAX, ALPHA_MAX);
    c->rank_stabilized = config_bool(r, "use_rslora", false);
    c->biases = config_choice(r, "bias", "none", biases) != 0;
    c->base_name = config_text(r, "base_model_name_or_path", "");
    c->layers = config_value(r, "layers_to_transform");
    c->layer_container = config_value(r, "layers_pattern");
    if (json_is_array(c->layers) && json_array_size(c->layers) == 0) c->layers = NULL;
    if (c->layer_container && !says_something(c->layer_container)) c->layer_container = NULL;
    check_layers(r, c);
}

static enum status read_sets(struct config_reader *r, struct lora_config *c, struct error *e) {
    const json_t *targets = config_value(r, "target_modules"), *saved = config_value(r, "modules_to_save");
    const char *text = json_string_value(targets);
    c->has_targets = targets != NULL;
    c->all_linear = text && strcasecmp(text, "all-linear") == 0;
    if (json_is_string(saved))
        return error_set(e, STATUS_MALFORMED, LORA_CONFIG_NAME ": modules_to_save",
                         "is not a list of names of modules");
    enum status status = module_set_init(&c->targets, c->all_linear ? NULL : targets, "target_modules", e);
    if (status == STATUS_OK)
        status = module_set_init(&c->excluded, config_value(r, "exclude_modules"), "exclude_modules", e);
    if (status == STATUS_OK) status = module_set_init(&c->saved, saved, "modules_to_save", e);
    if (status == STATUS_OK)
        status = module_numbers_init(&c->ranks, config_value(r, "rank_pattern"), "rank_pattern", 1,
                                     LORA_RANK_MAX, e);
    if (status == STATUS_OK)
        status = module_numbers_init(&c->alphas, config_value(r, "alpha_pattern"), "alpha_pattern",
                                     -ALPHA_MAX, ALPHA_MAX, e);
    return status;
}

static enum status read_all(struct lora_config *c, struct error *e) {
    struct config_reader r;
    enum status status = config_reader_init(&r, c->root, LORA_CONFIG_NAME, "LoRA", e);
    if (status != STATUS_OK) return status;
    refuse_type(&r);
    refuse_settings(&r);
    refuse_beginning(&r);
    read_numbers(&r, c);
    status = config_failed(&r) ? r.error.code : read_sets(&r, c, &r.error);
    refuse_unknown(&r);
    if (config_failed(&r)) {
        if (e) *e = r.error;
        status = r.error.code;
    }
    config_reader_deinit(&r);
    return status;
}

enum status lora_config_init(struct lora_config *c, const char *text, size_t length, struct error *e) {
    *c = (struct lora_config){0};
    enum status status = json_file_parse(text, length, LORA_CONFIG_NAME, JSON_FILE_VALUES_MAX, &c->root, e);
    if (status == STATUS_OK && !json_is_object(c->root))
        status = error_set(e, STATUS_MALFORMED, LORA_CONFIG_NAME, "is not an object");
    if (status == STATUS_OK) status = regex_run_create(REGEX_STEPS_ENCODING, &c->run, e);
    if (status == STATUS_OK) status = read_all(c, e);
    if (status != STATUS_OK) lora_config_deinit(c);
    return status;
}

void lora_config_deinit(struct lora_config *c) {
    module_numbers_deinit(&c->ranks);
    module_numbers_deinit(&c->alphas);
    module_set_deinit(&c->targets);
    module_set_deinit(&c->excluded);
    module_set_deinit(&c->saved);
    regex_run_destroy(c->run);
    json_decref(c->root);
    *c = (struct lora_config){0};
}

/* ---- which layers -------------------------------------------------------------------------------------- */

/* Whether the part of a name right in front of `end` (a '.') is one of the containers' names. */
static bool is_container(const struct lora_config *c, const char *module, const char *end) {
    const json_t *names = c->layer_container;
    size_t count = json_is_array(names) ? json_array_size(names) : 1;
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_is_array(names) ? json_array_get(names, i) : names);
        size_t length = strlen(name), before = (size_t)(end - module);
        if (before >= length && memcmp(end - length, name, length) == 0 &&
            (before == length || end[-(ptrdiff_t)length - 1] == '.'))
            return true;
    }
    return false;
}

/* The first part of the name that is a number, with something behind it and in front; without the setting of
 * containers two parts stand in front, as PEFT wants it. -1: there is none. */
static json_int_t layer_of(const struct lora_config *c, const char *module) {
    size_t parts = 0;
    for (const char *at = module; (at = strchr(at, '.')); at++) {
        char *end;
        parts++;
        if (!isdigit((unsigned char)at[1])) continue;
        long long number = strtoll(at + 1, &end, 10);
        if (*end != '.') continue;
        if (c->layer_container ? is_container(c, module, at) : parts >= 2) return number;
    }
    return -1;
}

static bool is_layer_meant(const struct lora_config *c, const char *module) {
    if (!c->layers) return true;
    json_int_t layer = layer_of(c, module);
    if (layer < 0) return false;
    if (json_is_integer(c->layers)) return json_integer_value(c->layers) == layer;
    for (size_t i = 0; i < json_array_size(c->layers); i++)
        if (json_integer_value(json_array_get(c->layers, i)) == layer) return true;
    return false;
}

/* ---- questions ----------------------------------------------------------------------------------------- */

/* A whole name in the list is meant whatever its layer. */
static bool is_named_whole(const struct lora_config *c, const char *module) {
    for (size_t i = 0; i < json_array_size(c->targets.names); i++)
        if (strcmp(json_string_value(json_array_get(c->targets.names, i)), module) == 0) return true;
    return false;
}

enum status lora_config_selects(const struct lora_config *c, const char *module, bool inner, bool *selects,
                                struct error *e) {
    bool excluded;
    *selects = false;
    enum status status = module_set_has(&c->excluded, c->run, module, &excluded, e);
    if (status != STATUS_OK || excluded || lora_config_saves(c, module)) return status;
    if (c->all_linear) {
        *selects = inner && is_layer_meant(c, module);
        return STATUS_OK;
    }
    status = module_set_has(&c->targets, c->run, module, selects, e);
    if (c->targets.names && *selects && !is_named_whole(c, module)) *selects = is_layer_meant(c, module);
    return status;
}

enum status lora_config_scale(const struct lora_config *c, const char *module, size_t *rank, double *scale,
                              struct error *e) {
    double r = (double)c->rank, alpha = c->alpha;
    enum status status = module_numbers_find(&c->ranks, c->run, module, &r, e);
    if (status == STATUS_OK) status = module_numbers_find(&c->alphas, c->run, module, &alpha, e);
    if (status != STATUS_OK) return status;
    *rank = (size_t)r;
    *scale = alpha / (c->rank_stabilized ? sqrt(r) : r);
    return STATUS_OK;
}

bool lora_config_saves(const struct lora_config *c, const char *module) {
    for (size_t i = 0; i < json_array_size(c->saved.names); i++)
        if (module_name_has(json_string_value(json_array_get(c->saved.names, i)), module, true)) return true;
    return false;
}
