#include "server/api/fields.h"

#include <stdio.h>
#include <string.h>

#include "server/api/json_body.h"
#include "server/api/unknown_fields.h"
#include "server/json/read.h"

/* What there is instead, where many fields share it. */
#define STRUCTURED    "POST /v1/completions and POST /v1/chat/completions keep a text to it"
#define MATCHED       "'structured_outputs' and 'response_format' say what a text must match"
#define TEMPLATE_HERE "messages and templates are for POST /v1/chat/completions"
#define NO_TOOLS      "no tools are called; describe them in a message, and read the call from the text"
#define TEXT_ONLY     "the model reads and writes text alone"
#define ONE_MODEL     "one model is served as it was loaded; --lora merges an adapter into it"
#define NO_SEARCH     "texts are sampled; 'best_of' takes the likeliest of several"
#define PENALTIES     "'repetition_penalty', 'presence_penalty' and 'frequency_penalty' keep texts from repeating"
#define SAMPLERS      "'temperature', 'top_k', 'top_p', 'min_p' and 'typical_p' say how tokens are sampled"
#define MAX_TOKENS    "'max_tokens' is this field here"
#define INFILL_ONLY   "POST /infill knows it; 'prompt' and 'suffix' of POST /v1/completions are the same"
#define FLAT          "fields of the sampling stand in the body itself"
#define SCORE_FIELDS  "a score is the log probability of a 'continuation' of a 'prompt', in POST /score"
#define HARMLESS      "it changes no answer"

static const struct api_foreign_field foreign_fields[] = {
#define FOREIGN(name, neutral, instead) {name, neutral, instead},
#include "server/api/foreign_fields.def"
#undef FOREIGN
};

const struct api_foreign_field *api_foreign_fields(size_t *count) {
    *count = sizeof foreign_fields / sizeof *foreign_fields;
    return foreign_fields;
}

static bool is_named(const char *pattern, const char *name) {
    size_t length = strlen(pattern);
    if (pattern[length - 1] == '*') return strncmp(pattern, name, length - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static const struct api_foreign_field *find_foreign(const char *name) {
    for (size_t i = 0; i < sizeof foreign_fields / sizeof *foreign_fields; i++)
        if (is_named(foreign_fields[i].name, name)) return &foreign_fields[i];
    return NULL;
}

static bool is_equal(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

static bool is_empty(const json_t *value) {
    return json_is_false(value) || (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

/* Without memory nothing is taken for harmless. */
static bool is_neutral(const json_t *value, const char *neutral) {
    if (*neutral == '*') return true;
    bool is_exact = *neutral == '=';
    if (!is_exact && is_empty(value)) return true;
    json_t *list = json_read(neutral + is_exact, strlen(neutral + is_exact), 0, NULL);
    bool found = false;
    for (size_t i = 0; i < json_array_size(list) && !found; i++)
        found = is_equal(value, json_array_get(list, i));
    json_decref(list);
    return found;
}

static bool is_known(const char *name, const char *const *known, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (known[i] && strcmp(name, known[i]) == 0) return true;
    return false;
}

static enum api_error_kind check_field(const char *name, const json_t *value, const char *prefix,
                                       const struct api_limits *limits, struct api_error *e) {
    char full[128];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const struct api_foreign_field *foreign = find_foreign(name);
    if (foreign && is_neutral(value, foreign->neutral)) return API_OK;
    if (foreign)
        return api_error_set(e, API_INVALID, full, "'%.60s' is not supported by this server: %s.", full,
                             foreign->instead);
    if (limits->refuse_unknown)
        return api_error_set(e, API_INVALID, full, "'%.60s' is not a known field.", full);
    if (limits->unknown) unknown_fields_note(limits->unknown, full);
    return API_OK;
}

enum api_error_kind api_fields_check(const json_t *object, const char *prefix, const char *const *known,
                                     size_t count, const struct api_limits *limits, struct api_error *e) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value) {
        if (json_is_null(value) || is_known(name, known, count)) continue;
        if (check_field(name, value, prefix, limits, e) != API_OK) return e->kind;
    }
    return API_OK;
}

enum api_error_kind api_field_wrong_type(struct api_error *e, const char *name, const char *expected,
                                         const json_t *found) {
    return api_error_set(e, API_INVALID, name, "'%s' must be %s, not %s.", name, expected,
                         json_body_type_name(found));
}

enum api_error_kind api_field_bool(const json_t *object, const char *key, const char *name, bool *out,
                                   struct api_error *e) {
    const json_t *value = json_body_field(object, key);
    if (!value) return API_OK;
    if (!json_is_boolean(value)) return api_field_wrong_type(e, name, "true or false", value);
    *out = json_is_true(value);
    return API_OK;
}
