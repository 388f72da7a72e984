/* Fields of a completion that are lists: token ids, stop strings, bad words, biases. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/types/limits.h"
#include "server/api/fields.h"
#include "server/api/json_body.h"
#include "server/api/params.h"
#include "server/json/number.h"

/* Every bad word is compared with the end of the text before each token is sampled. */
enum { BAD_WORDS_MAX = 256, BAD_WORD_BYTES_MAX = 256 };

static enum api_error_kind out_of_memory(struct api_error *e) {
    return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
}

/* ---- ids ----------------------------------------------------------------------------------------------- */

/* One id of an array; false with *e where it is none. */
static bool read_id(const json_t *item, size_t at, const char *name, size_t vocabulary, int32_t *out,
                    struct api_error *e) {
    int64_t id = -1;
    enum json_integer kind = json_integer_read(item, &id);
    if (kind == JSON_INTEGER_IS && id >= 0 && (uint64_t)id < vocabulary) {
        *out = (int32_t)id;
        return true;
    }
    if (kind == JSON_INTEGER_IS_NOT)
        api_error_set(e, API_INVALID, name, "'%s' must hold token ids; element %zu is %s.", name, at,
                      json_is_real(item) ? "a number with a fraction" : json_body_type_name(item));
    else
        api_error_set(e, API_INVALID, name,
                      "'%s': token id %.0f (element %zu) is not in the vocabulary of %zu.", name,
                      json_number_value(item), at, vocabulary);
    return false;
}

enum api_error_kind api_params_token_ids(const json_t *array, const char *name, size_t count_max,
                                         size_t vocabulary, int32_t **ids, size_t *count,
                                         struct api_error *e) {
    if (!json_is_array(array)) return api_field_wrong_type(e, name, "an array of token ids", array);
    size_t length = json_array_size(array);
    if (length > count_max)
        return api_error_set(e, API_INVALID, name, "'%s' has %zu token ids; at most %zu are allowed.", name,
                             length, count_max);
    int32_t *out = malloc((length ? length : 1) * sizeof *out);
    if (!out) return out_of_memory(e);
    for (size_t i = 0; i < length; i++)
        if (!read_id(json_array_get(array, i), i, name, vocabulary, &out[i], e)) {
            free(out);
            return e->kind;
        }
    *ids = out;
    *count = length;
    return API_OK;
}

/* ---- texts --------------------------------------------------------------------------------------------- */

struct text_limits {
    const char *name, *expected;
    size_t count_max, bytes_max;
};

static enum api_error_kind add_text(struct engine_string *out, const json_t *value,
                                    const struct text_limits *limits, struct api_error *e) {
    const char *name = limits->name;
    if (!json_is_string(value)) return api_field_wrong_type(e, name, limits->expected, value);
    size_t length = json_string_length(value);
    if (!length) return api_error_set(e, API_INVALID, name, "'%s' has an empty string.", name);
    if (length > limits->bytes_max)
        return api_error_set(e, API_INVALID, name, "'%s' has a string of %zu bytes; at most %zu are allowed.",
                             name, length, limits->bytes_max);
    char *text = malloc(length + 1);
    if (!text) return out_of_memory(e);
    memcpy(text, json_string_value(value), length + 1);
    *out = (struct engine_string){text, length};
    return API_OK;
}

/* A string stands for the array of it. */
static enum api_error_kind read_texts(const json_t *body, const struct text_limits *limits,
                                      struct engine_string **texts, size_t *count, struct api_error *e) {
    const json_t *value = json_body_field(body, limits->name);
    if (!value) return API_OK;
    size_t length = json_is_array(value) ? json_array_size(value) : 1;
    if (length > limits->count_max)
        return api_error_set(e, API_INVALID, limits->name, "'%s' has %zu strings; at most %zu are allowed.",
                             limits->name, length, limits->count_max);
    *texts = calloc(length ? length : 1, sizeof **texts);
    if (!*texts) return out_of_memory(e);
    for (; *count < length; ++*count) {
        const json_t *item = json_is_array(value) ? json_array_get(value, *count) : value;
        if (add_text(&(*texts)[*count], item, limits, e) != API_OK) return e->kind;
    }
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

static void free_texts(struct engine_string *texts, size_t count) {
    for (size_t i = 0; i < count; i++) free((char *)texts[i].text);
    free(texts);
}

/* ---- biases -------------------------------------------------------------------------------------------- */

static bool parse_token_id(const char *text, size_t vocabulary, int32_t *out) {
    char *end;
    if (*text < '0' || *text > '9') return false;
    errno = 0;
    unsigned long long id = strtoull(text, &end, 10);
    if (errno || *end || id >= vocabulary) return false;
    *out = (int32_t)id;
    return true;
}

static int by_token(const void *a, const void *b) {
    const struct engine_bias *x = a, *y = b;
    return (x->token > y->token) - (x->token < y->token);
}

/* "1" and "00001" are one token, with two biases. */
static enum api_error_kind sort_biases(struct api_params *p, struct api_error *e) {
    if (p->bias_count) qsort(p->biases, p->bias_count, sizeof *p->biases, by_token);
    for (size_t i = 1; i < p->bias_count; i++)
        if (p->biases[i].token == p->biases[i - 1].token)
            return api_error_set(e, API_INVALID, "logit_bias", "'logit_bias' has token %d twice.",
                                 (int)p->biases[i].token);
    return API_OK;
}

static enum api_error_kind read_bias(struct api_params *p, const json_t *body,
                                     const struct api_limits *limits, struct api_error *e) {
    json_t *object = json_body_field(body, "logit_bias");
    if (!object) return API_OK;
    if (!json_is_object(object))
        return api_field_wrong_type(e, "logit_bias", "an object of token ids and numbers", object);
    if (json_object_size(object) > limits->vocabulary)
        return api_error_set(e, API_INVALID, "logit_bias",
                             "'logit_bias' has more entries than the vocabulary.");
    p->biases = calloc(json_object_size(object) + 1, sizeof *p->biases);
    if (!p->biases) return out_of_memory(e);
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        int32_t token;
        if (!parse_token_id(key, limits->vocabulary, &token))
            return api_error_set(e, API_INVALID, "logit_bias",
                                 "'logit_bias' has the key '%.40s'; a token id below %zu was expected.", key,
                                 limits->vocabulary);
        if (json_is_null(value)) continue;
        double number = json_number_value(value);
        if (!json_is_number(value) || !(number >= -100 && number <= 100))
            return api_error_set(e, API_INVALID, "logit_bias",
                                 "'logit_bias' of token %d must be a number between -100 and 100.",
                                 (int)token);
        p->biases[p->bias_count++] = (struct engine_bias){token, (float)number};
    }
    return sort_biases(p, e);
}

/* ---- all ----------------------------------------------------------------------------------------------- */

enum api_error_kind api_param_lists_read(struct api_params *p, const json_t *body,
                                         const struct api_limits *limits, struct api_error *e) {
    const struct text_limits stops = {"stop", "a string or an array of strings", limits->stops_max,
                                      STOP_BYTES_MAX},
                             bad_words = {"bad_words", "a string or an array of strings", BAD_WORDS_MAX,
                                          BAD_WORD_BYTES_MAX};
    if (read_texts(body, &stops, &p->stops, &p->stop_count, e) != API_OK ||
        check_stop_bytes(p, limits, e) != API_OK ||
        read_texts(body, &bad_words, &p->bad_words, &p->bad_word_count, e) != API_OK ||
        read_bias(p, body, limits, e) != API_OK)
        return e->kind;
    const json_t *value = json_body_field(body, "stop_token_ids");
    if (value && api_params_token_ids(value, "stop_token_ids", limits->vocabulary, limits->vocabulary,
                                      &p->stop_tokens, &p->stop_token_count, e) != API_OK)
        return e->kind;
    p->stop_token_said = p->stop_token_count;
    value = json_body_field(body, "allowed_token_ids");
    if (value && api_params_token_ids(value, "allowed_token_ids", limits->vocabulary, limits->vocabulary,
                                      &p->allowed, &p->allowed_count, e) != API_OK)
        return e->kind;
    if (p->allowed && !p->allowed_count)
        return api_error_set(e, API_INVALID, "allowed_token_ids",
                             "'allowed_token_ids' is empty: nothing could be generated.");
    return API_OK;
}

enum api_error_kind api_params_add_stop_tokens(struct api_params *p, const int32_t *ids, size_t count,
                                               size_t vocabulary, struct api_error *e) {
    int32_t *grown = realloc(p->stop_tokens, (p->stop_token_count + count + 1) * sizeof *grown);
    if (!grown) return out_of_memory(e);
    p->stop_tokens = grown;
    for (size_t i = 0; i < count; i++)
        if ((size_t)ids[i] < vocabulary) grown[p->stop_token_count++] = ids[i];
    return API_OK;
}

void api_param_lists_deinit(struct api_params *p) {
    free_texts(p->stops, p->stop_count);
    free_texts(p->bad_words, p->bad_word_count);
    free(p->stop_tokens);
    free(p->allowed);
    free(p->biases);
}
