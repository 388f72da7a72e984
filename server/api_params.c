#include "server/api_params.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/json_body.h"

/* A stop string longer than this is no stop string but an attempt to make the engine hold text back. */
enum { STOP_BYTES_MAX = 4096 };

static enum api_error_kind out_of_memory(struct api_error *e) {
    return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
}

static enum api_error_kind wrong_type(struct api_error *e, const char *name, const char *expected,
                                      const json_t *found) {
    return api_error_set(e, API_INVALID, name, "'%s' must be %s, not %s.", name, expected,
                         json_body_type_name(found));
}

/* ---- the table ----------------------------------------------------------------------------------------- */

static enum api_error_kind read_INTEGER(const json_t *value, const char *name, double least, double most,
                                        int64_t *out, struct api_error *e) {
    if (!json_is_integer(value)) return wrong_type(e, name, "an integer", value);
    *out = json_integer_value(value);
    if ((double)*out >= least && (double)*out <= most) return API_OK;
    return api_error_set(e, API_INVALID, name, "'%s' is %lld; it must be between %.0f and %.0f.", name,
                         (long long)*out, least, most);
}

static enum api_error_kind read_REAL(const json_t *value, const char *name, double least, double most,
                                     double *out, struct api_error *e) {
    if (!json_is_number(value)) return wrong_type(e, name, "a number", value);
    *out = json_number_value(value);
    if (*out >= least && *out <= most) return API_OK;
    return api_error_set(e, API_INVALID, name, "'%s' is %g; it must be between %g and %g.", name, *out, least,
                         most);
}

static enum api_error_kind read_BOOL(const json_t *value, const char *name, double least, double most,
                                     bool *out, struct api_error *e) {
    (void)least, (void)most;
    if (!json_is_boolean(value)) return wrong_type(e, name, "true or false", value);
    *out = json_is_true(value);
    return API_OK;
}

/* The most of a field here: the table's, or less by the configuration. */
static double configured_most(const struct api_limits *limits, const char *name, double most) {
    const struct {
        const char *name;
        size_t most;
    } configured[] = {{"n", limits->n_max}, {"best_of", limits->n_max}, {"logprobs", limits->logprobs_max}};
    for (size_t i = 0; i < sizeof configured / sizeof *configured; i++)
        if (strcmp(name, configured[i].name) == 0 && (double)configured[i].most < most)
            return (double)configured[i].most;
    return most;
}

static enum api_error_kind read_table(struct api_params *p, const json_t *body,
                                      const struct api_limits *limits, struct api_error *e) {
    const json_t *value;
#define X(type, field, name, initial, least, most)                                                           \
    p->field = initial;                                                                                      \
    value = json_body_field(body, name);                                                                     \
    if (value &&                                                                                             \
        read_##type(value, name, least, configured_most(limits, name, most), &p->field, e) != API_OK)        \
        return e->kind;
    API_PARAMS(X)
#undef X
    return API_OK;
}

/* ---- lists --------------------------------------------------------------------------------------------- */

enum api_error_kind api_params_token_ids(const json_t *array, const char *name, size_t count_max,
                                         size_t vocabulary, int32_t **ids, size_t *count,
                                         struct api_error *e) {
    if (!json_is_array(array)) return wrong_type(e, name, "an array of token ids", array);
    size_t length = json_array_size(array);
    if (length > count_max)
        return api_error_set(e, API_INVALID, name, "'%s' has %zu token ids; at most %zu are allowed.", name,
                             length, count_max);
    int32_t *out = malloc((length ? length : 1) * sizeof *out);
    if (!out) return out_of_memory(e);
    for (size_t i = 0; i < length; i++) {
        const json_t *item = json_array_get(array, i);
        if (!json_is_integer(item)) {
            free(out);
            return api_error_set(e, API_INVALID, name, "'%s' must hold token ids; element %zu is %s.", name,
                                 i, json_body_type_name(item));
        }
        json_int_t id = json_integer_value(item);
        if (id < 0 || (unsigned long long)id >= vocabulary) {
            free(out);
            return api_error_set(e, API_INVALID, name,
                                 "'%s': token id %lld (element %zu) is not in the vocabulary of %zu.", name,
                                 (long long)id, i, vocabulary);
        }
        out[i] = (int32_t)id;
    }
    *ids = out;
    *count = length;
    return API_OK;
}

static enum api_error_kind add_stop(struct api_params *p, const json_t *value, struct api_error *e) {
    if (!json_is_string(value)) return wrong_type(e, "stop", "a string or an array of strings", value);
    size_t length = json_string_length(value);
    if (!length) return api_error_set(e, API_INVALID, "stop", "'stop' has an empty string.");
    if (length > STOP_BYTES_MAX)
        return api_error_set(e, API_INVALID, "stop",
                             "'stop' has a string of %zu bytes; at most %d are allowed.", length,
                             STOP_BYTES_MAX);
    char *text = malloc(length + 1);
    if (!text) return out_of_memory(e);
    memcpy(text, json_string_value(value), length + 1);
    p->stops[p->stop_count++] = (struct engine_string){text, length};
    return API_OK;
}

static enum api_error_kind check_stop_bytes(const struct api_params *p, const struct api_limits *limits,
                                            struct api_error *e) {
    size_t bytes = 0;
    for (size_t i = 0; i < p->stop_count; i++) bytes += p->stops[i].length;
    if (!limits->stop_bytes_max || bytes <= limits->stop_bytes_max) return API_OK;
    return api_error_set(e, API_INVALID, "stop",
                         "'stop' has %zu bytes in all its strings; at most %zu are allowed.", bytes,
                         limits->stop_bytes_max);
}

static enum api_error_kind read_stop(struct api_params *p, const json_t *body,
                                     const struct api_limits *limits, struct api_error *e) {
    const json_t *value = json_body_field(body, "stop");
    if (!value) return API_OK;
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    if (count > limits->stops_max)
        return api_error_set(e, API_INVALID, "stop", "'stop' has %zu strings; at most %zu are allowed.",
                             count, limits->stops_max);
    p->stops = calloc(count ? count : 1, sizeof *p->stops);
    if (!p->stops) return out_of_memory(e);
    if (!json_is_array(value)) return add_stop(p, value, e);
    for (size_t i = 0; i < count; i++)
        if (add_stop(p, json_array_get(value, i), e) != API_OK) return e->kind;
    return check_stop_bytes(p, limits, e);
}

static bool parse_token_id(const char *text, size_t vocabulary, int32_t *out) {
    char *end;
    if (*text < '0' || *text > '9') return false;
    errno = 0;
    unsigned long long id = strtoull(text, &end, 10);
    if (errno || *end || id >= vocabulary) return false;
    *out = (int32_t)id;
    return true;
}

static enum api_error_kind read_bias(struct api_params *p, const json_t *body,
                                     const struct api_limits *limits, struct api_error *e) {
    json_t *object = json_body_field(body, "logit_bias");
    if (!object) return API_OK;
    if (!json_is_object(object))
        return wrong_type(e, "logit_bias", "an object of token ids and numbers", object);
    if (json_object_size(object) > limits->vocabulary)
        return api_error_set(e, API_INVALID, "logit_bias",
                             "'logit_bias' has more entries than the vocabulary.");
    p->biases = calloc(json_object_size(object) + 1, sizeof *p->biases);
    if (!p->biases) return out_of_memory(e);
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        struct engine_bias *bias = &p->biases[p->bias_count++];
        if (!parse_token_id(key, limits->vocabulary, &bias->token))
            return api_error_set(e, API_INVALID, "logit_bias",
                                 "'logit_bias' has the key '%.40s'; a token id below %zu was expected.", key,
                                 limits->vocabulary);
        double number = json_number_value(value);
        if (!json_is_number(value) || !(number >= -100 && number <= 100))
            return api_error_set(e, API_INVALID, "logit_bias",
                                 "'logit_bias' of token %d must be a number between -100 and 100.",
                                 (int)bias->token);
        bias->bias = (float)number;
    }
    return API_OK;
}

static enum api_error_kind read_lists(struct api_params *p, const json_t *body,
                                      const struct api_limits *limits, struct api_error *e) {
    if (read_stop(p, body, limits, e) != API_OK || read_bias(p, body, limits, e) != API_OK) return e->kind;
    const json_t *value = json_body_field(body, "stop_token_ids");
    if (value && api_params_token_ids(value, "stop_token_ids", limits->vocabulary, limits->vocabulary,
                                      &p->stop_tokens, &p->stop_token_count, e) != API_OK)
        return e->kind;
    value = json_body_field(body, "allowed_token_ids");
    if (value && api_params_token_ids(value, "allowed_token_ids", limits->vocabulary, limits->vocabulary,
                                      &p->allowed, &p->allowed_count, e) != API_OK)
        return e->kind;
    if (p->allowed && !p->allowed_count)
        return api_error_set(e, API_INVALID, "allowed_token_ids",
                             "'allowed_token_ids' is empty: nothing could be generated.");
    return API_OK;
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

static enum api_error_kind read_seed(struct api_params *p, const json_t *body, struct api_error *e) {
    const json_t *value = json_body_field(body, "seed");
    if (!value) return API_OK;
    if (!json_is_integer(value)) return wrong_type(e, "seed", "an integer", value);
    p->has_seed = true;
    p->seed = json_integer_value(value);
    return API_OK;
}

static enum api_error_kind read_stream_options(struct api_params *p, const json_t *body,
                                               struct api_error *e) {
    const json_t *options = json_body_field(body, "stream_options");
    if (!options) return API_OK;
    if (!json_is_object(options)) return wrong_type(e, "stream_options", "an object", options);
    if (!p->stream)
        return api_error_set(e, API_INVALID, "stream_options",
                             "'stream_options' is only allowed with 'stream'.");
    const json_t *value = json_body_field(options, "include_usage");
    if (!value) return API_OK;
    return read_BOOL(value, "stream_options.include_usage", 0, 1, &p->include_usage, e);
}

static enum api_error_kind check_model(const json_t *body, const struct api_limits *limits,
                                       struct api_error *e) {
    const json_t *value = json_body_field(body, "model");
    if (!value) return API_OK;
    if (!json_is_string(value)) return wrong_type(e, "model", "a string", value);
    bool same = json_string_length(value) == strlen(limits->model) &&
                memcmp(json_string_value(value), limits->model, strlen(limits->model)) == 0;
    if (same || limits->any_model) return API_OK;
    return api_error_set(e, API_MODEL_NOT_FOUND, "model",
                         "The model '%.200s' does not exist; this server has '%.200s'.",
                         json_string_value(value), limits->model);
}

static enum api_error_kind check_texts(const json_t *body, struct api_error *e) {
    const json_t *value = json_body_field(body, "user");
    if (value && !json_is_string(value)) return wrong_type(e, "user", "a string", value);
    value = json_body_field(body, "suffix");
    if (value && !json_is_string(value)) return wrong_type(e, "suffix", "a string", value);
    if (value && json_string_length(value))
        return api_error_set(e, API_INVALID, "suffix",
                             "'suffix' is not supported: the model has no tokens for filling in.");
    return API_OK;
}

static bool is_known(const char *name) {
    static const char *const names[] = {
#define X(type, field, name, ...) name,
        API_PARAMS(X)
#undef X
            "model",
        "prompt",
        "suffix",
        "stop",
        "logit_bias",
        "stop_token_ids",
        "allowed_token_ids",
        "seed",
        "stream_options",
        "user"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static enum api_error_kind check_unknown(const json_t *body, struct api_error *e) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)body, key, value) if (!is_known(key)) return api_error_set(
        e, API_INVALID, key, "'%.60s' is not a known field.", key);
    return API_OK;
}

/* Ranges that depend on the configuration or on another field. */
static enum api_error_kind check_ranges(struct api_params *p, const struct api_limits *limits,
                                        struct api_error *e) {
    if (!p->best_of) p->best_of = p->n;
    if (p->best_of < p->n)
        return api_error_set(e, API_INVALID, "best_of",
                             "'best_of' is %lld; it must be between n = %lld and %zu.", (long long)p->best_of,
                             (long long)p->n, limits->n_max);
    if (p->best_of > p->n && p->stream)
        return api_error_set(e, API_INVALID, "best_of",
                             "'best_of' greater than 'n' is not possible with 'stream'.");
    if (p->min_tokens > p->max_tokens)
        return api_error_set(e, API_INVALID, "min_tokens",
                             "'min_tokens' is %lld, more than max_tokens = %lld.", (long long)p->min_tokens,
                             (long long)p->max_tokens);
    if (p->top_k < 0) p->top_k = 0; /* -1 is "off" in other servers */
    if (limits->timeout_ms && (!p->timeout_ms || p->timeout_ms > limits->timeout_ms))
        p->timeout_ms = limits->timeout_ms;
    return API_OK;
}

enum api_error_kind api_params_read(struct api_params *p, const json_t *body, const struct api_limits *limits,
                                    struct api_error *e) {
    *p = (struct api_params){0};
    if (check_model(body, limits, e) != API_OK || read_table(p, body, limits, e) != API_OK ||
        read_stream_options(p, body, e) != API_OK || read_seed(p, body, e) != API_OK ||
        read_lists(p, body, limits, e) != API_OK || check_texts(body, e) != API_OK)
        return e->kind;
    if (limits->refuse_unknown && check_unknown(body, e) != API_OK) return e->kind;
    return check_ranges(p, limits, e);
}

void api_params_deinit(struct api_params *p) {
    for (size_t i = 0; i < p->stop_count; i++) free((char *)p->stops[i].text);
    free(p->stops);
    free(p->stop_tokens);
    free(p->allowed);
    free(p->biases);
    *p = (struct api_params){0};
}
