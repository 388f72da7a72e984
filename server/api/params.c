#include "server/api/params.h"

#include <string.h>

#include "server/api/fields.h"
#include "server/api/json_body.h"
#include "server/json/number.h"

/* ---- the table ----------------------------------------------------------------------------------------- */

static enum api_error_kind read_INTEGER(const json_t *value, const char *name, double least, double most,
                                        int64_t *out, struct api_error *e) {
    switch (json_integer_read(value, out)) {
    case JSON_INTEGER_IS_NOT:
        if (!json_is_real(value)) return api_field_wrong_type(e, name, "an integer", value);
        return api_error_set(e, API_INVALID, name, "'%s' must be an integer, not a number with a fraction.",
                             name);
    case JSON_INTEGER_IS:
        if ((double)*out >= least && (double)*out <= most) return API_OK;
        return api_error_set(e, API_INVALID, name, "'%s' is %lld; it must be between %.0f and %.0f.", name,
                             (long long)*out, least, most);
    case JSON_INTEGER_IS_HUGE:
        break;
    }
    return api_error_set(e, API_INVALID, name, "'%s' is %g; it must be between %.0f and %.0f.", name,
                         json_number_value(value), least, most);
}

static enum api_error_kind read_REAL(const json_t *value, const char *name, double least, double most,
                                     double *out, struct api_error *e) {
    if (!json_is_number(value)) return api_field_wrong_type(e, name, "a number", value);
    *out = json_number_value(value);
    if (*out >= least && *out <= most) return API_OK;
    return api_error_set(e, API_INVALID, name, "'%s' is %g; it must be between %g and %g.", name, *out, least,
                         most);
}

static enum api_error_kind read_BOOL(const json_t *value, const char *name, double least, double most,
                                     bool *out, struct api_error *e) {
    (void)least, (void)most;
    if (!json_is_boolean(value)) return api_field_wrong_type(e, name, "true or false", value);
    *out = json_is_true(value);
    return API_OK;
}

static enum api_error_kind read_table(struct api_params *p, enum api_endpoint endpoint, const json_t *body,
                                      const struct api_limits *limits, struct api_error *e) {
    const json_t *value;
#define NUMBER(type, field, name, initial, least, most, where, meaning)                                      \
    p->field = initial;                                                                                      \
    value = (where)&endpoint ? json_body_field(body, name) : NULL;                                           \
    if (value && read_##type(value, name, least, most, &p->field, e) != API_OK) return e->kind;
#include "server/api/params.def"
#undef NUMBER
    return API_OK;
}

/* What the model's files say, of fields that the request does not name. Their bounds are those of the table. */
static void apply_generation(struct api_params *p, const json_t *body,
                             const struct generation_defaults *from) {
#define API_INTEGER_OF_true(value)  (int64_t)(value)
#define API_INTEGER_OF_false(value) (value)
#define X(field, key, least, most, whole)                                                                    \
    if (from->field.is_said && !json_body_field(body, #field))                                               \
        p->field = API_INTEGER_OF_##whole(from->field.value);
    GENERATION_DEFAULT_LIST(X)
#undef X
}

/* Where it has several names, and where the default is the room, of which the engine knows how much there is. */
static void resolve_max_tokens(struct api_params *p, enum api_endpoint endpoint, const json_t *body,
                               const struct api_limits *limits) {
    bool is_said =
        json_body_field(body, "max_tokens") || (limits->generation && limits->generation->max_tokens.is_said);
    if (endpoint != API_COMPLETIONS && !is_said) p->max_tokens = INT32_MAX;
    if (p->max_completion_tokens >= 0) p->max_tokens = p->max_completion_tokens;
    if (p->n_predict >= -1) p->max_tokens = p->n_predict < 0 ? INT32_MAX : p->n_predict;
}

/* What a chat has as fields of its own, as what the completions have. */
static enum api_error_kind resolve_chat(struct api_params *p, const json_t *body, struct api_error *e) {
    if (p->top_logprobs > 0 && !p->chat_logprobs)
        return api_error_set(e, API_INVALID, "top_logprobs",
                             "'top_logprobs' is only allowed with 'logprobs'.");
    if (p->chat_logprobs) p->logprobs = p->top_logprobs > 0 ? p->top_logprobs : 0;
    p->add_special_tokens = p->chat_special_tokens;
    return api_params_check_opening(p, body, e);
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

static enum api_error_kind read_seed(struct api_params *p, const json_t *body, struct api_error *e) {
    const json_t *value = json_body_field(body, "seed");
    if (!value) return API_OK;
    p->has_seed = true;
    return read_INTEGER(value, "seed", (double)INT64_MIN, (double)INT64_MAX, &p->seed, e);
}

static enum api_error_kind read_stream_options(struct api_params *p, const json_t *body,
                                               const struct api_limits *limits, struct api_error *e) {
    static const char *const known[] = {"include_usage", "continuous_usage_stats"};
    const json_t *options = json_body_field(body, "stream_options");
    if (!options) return API_OK;
    if (!json_is_object(options)) return api_field_wrong_type(e, "stream_options", "an object", options);
    if (!p->stream)
        return api_error_set(e, API_INVALID, "stream_options",
                             "'stream_options' is only allowed with 'stream'.");
    if (api_field_bool(options, "include_usage", "stream_options.include_usage", &p->include_usage, e) !=
            API_OK ||
        api_field_bool(options, "continuous_usage_stats", "stream_options.continuous_usage_stats",
                       &p->continuous_usage, e) != API_OK)
        return e->kind;
    return api_fields_check(options, "stream_options.", known, sizeof known / sizeof *known, limits, e);
}

/* A field that is one of two words. */
static enum api_error_kind read_word(const json_t *body, const char *name, const char *first,
                                     const char *second, bool *is_second, struct api_error *e) {
    const json_t *value = json_body_field(body, name);
    const char *text = json_string_value(value);
    *is_second = text && strcmp(text, second) == 0;
    if (!value || *is_second || (text && strcmp(text, first) == 0)) return API_OK;
    return api_error_set(e, API_INVALID, name, "'%s' must be \"%s\" or \"%s\".", name, first, second);
}

static enum api_error_kind read_truncation(struct api_params *p, const json_t *body, struct api_error *e) {
    if (json_body_field(body, "truncate_prompt_tokens") && p->truncate_prompt_tokens == 0)
        return api_error_set(
            e, API_INVALID, "truncate_prompt_tokens",
            "'truncate_prompt_tokens' is 0; it must be at least 1, or -1 for as many as there "
            "is room for.");
    return read_word(body, "truncation_side", "left", "right", &p->keeps_start, e);
}

static enum api_error_kind read_request_id(struct api_params *p, const json_t *body, struct api_error *e) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const json_t *value = json_body_field(body, "request_id");
    if (!value) return API_OK;
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);
    if (!length || length > API_REQUEST_ID_BYTES_MAX || strspn(text, allowed) != length)
        return api_error_set(e, API_INVALID, "request_id",
                             "'request_id' must be a string of 1 to %d letters, digits, '-', '_' and '.'.",
                             API_REQUEST_ID_BYTES_MAX);
    memcpy(p->request_id, text, length + 1);
    return API_OK;
}

enum api_error_kind api_params_check_model(const json_t *body, const struct api_limits *limits,
                                           struct api_error *e) {
    const json_t *value = json_body_field(body, "model");
    if (!value) return API_OK;
    if (!json_is_string(value)) return api_field_wrong_type(e, "model", "a string", value);
    bool same = json_string_length(value) == strlen(limits->model) &&
                memcmp(json_string_value(value), limits->model, strlen(limits->model)) == 0;
    if (same || limits->any_model) return API_OK;
    return api_error_set(e, API_MODEL_NOT_FOUND, "model",
                         "The model '%.200s' does not exist; this server has '%.200s'.",
                         json_string_value(value), limits->model);
}

enum api_error_kind api_params_check_opening(struct api_params *p, const json_t *body, struct api_error *e) {
    if (!p->continue_final_message) return API_OK;
    if (json_body_field(body, "add_generation_prompt") && p->add_generation_prompt)
        return api_error_set(e, API_INVALID, "continue_final_message",
                             "'continue_final_message' and 'add_generation_prompt' cannot both be true.");
    p->add_generation_prompt = false;
    return API_OK;
}

static enum api_error_kind check_user(const json_t *body, struct api_error *e) {
    const json_t *value = json_body_field(body, "user");
    if (value && !json_is_string(value)) return api_field_wrong_type(e, "user", "a string", value);
    return API_OK;
}

enum api_error_kind api_params_check_names(enum api_endpoint endpoint, const json_t *body,
                                           const struct api_limits *limits, struct api_error *e) {
    const char *const known[] = {
#define NUMBER(type, field, name, initial, least, most, where, meaning) (where) & endpoint ? name : NULL,
#define FIELD(name, type, initial, where, meaning)                      (where) & endpoint ? name : NULL,
#include "server/api/params.def"
#undef NUMBER
#undef FIELD
    };
    return api_fields_check(body, "", known, sizeof known / sizeof *known, limits, e);
}

/* By which a request says it. */
static const char *name_of_max_tokens(const struct api_params *p) {
    if (p->n_predict >= -1) return "n_predict";
    return p->max_completion_tokens >= 0 ? "max_completion_tokens" : "max_tokens";
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
    if (p->prompt_logprobs >= 0 && p->stream)
        return api_error_set(e, API_INVALID, "prompt_logprobs",
                             "'prompt_logprobs' is not possible with 'stream'.");
    if (p->min_tokens > p->max_tokens)
        return api_error_set(e, API_INVALID, "min_tokens", "'min_tokens' is %lld, more than %s = %lld.",
                             (long long)p->min_tokens, name_of_max_tokens(p), (long long)p->max_tokens);
    if (p->top_k < 0) p->top_k = 0; /* -1 is "off" in other servers */
    if (limits->timeout_ms && (!p->timeout_ms || p->timeout_ms > limits->timeout_ms))
        p->timeout_ms = limits->timeout_ms;
    return API_OK;
}

/* What the endpoints have that generate text. */
static enum api_error_kind read_generation(struct api_params *p, enum api_endpoint endpoint,
                                           const json_t *body, const struct api_limits *limits,
                                           struct api_error *e) {
    if (read_stream_options(p, body, limits, e) != API_OK || read_seed(p, body, e) != API_OK ||
        api_param_lists_read(p, body, limits, e) != API_OK)
        return e->kind;
    if (limits->generation) apply_generation(p, body, limits->generation);
    resolve_max_tokens(p, endpoint, body, limits);
    return endpoint == API_CHAT ? resolve_chat(p, body, e) : API_OK;
}

/* What the others have, which run the model over what they are given, and no further. */
static enum api_error_kind read_pass(struct api_params *p, enum api_endpoint endpoint, const json_t *body,
                                     struct api_error *e) {
    bool is_mean;
    p->max_tokens = 0;
    if (json_is_true(json_body_field(body, "stream")))
        return api_error_set(e, API_INVALID, "stream",
                             "'stream' is not possible here: the answer comes whole.");
    if (endpoint != API_EMBEDDINGS) return API_OK;
    if (read_word(body, "pooling", "last", "mean", &is_mean, e) != API_OK ||
        read_word(body, "encoding_format", "float", "base64", &p->is_base64, e) != API_OK)
        return e->kind;
    p->pooling = is_mean ? ENGINE_POOLING_MEAN : ENGINE_POOLING_LAST;
    return API_OK;
}

enum api_error_kind api_params_read(struct api_params *p, enum api_endpoint endpoint, const json_t *body,
                                    const struct api_limits *limits, struct api_error *e) {
    *p = (struct api_params){0};
    if (api_params_check_model(body, limits, e) != API_OK ||
        api_params_check_names(endpoint, body, limits, e) != API_OK ||
        read_table(p, endpoint, body, limits, e) != API_OK || read_truncation(p, body, e) != API_OK ||
        read_request_id(p, body, e) != API_OK || check_user(body, e) != API_OK)
        return e->kind;
    enum api_error_kind kind = endpoint & API_ANY_TEXT ? read_generation(p, endpoint, body, limits, e)
                                                       : read_pass(p, endpoint, body, e);
    return kind == API_OK ? check_ranges(p, limits, e) : kind;
}

void api_params_deinit(struct api_params *p) {
    api_param_lists_deinit(p);
    *p = (struct api_params){0};
}
