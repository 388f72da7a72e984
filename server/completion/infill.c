/* Texts around a gap into ids. Runs in the uv pool. */
#include "server/completion/infill.h"

#include <stdlib.h>
#include <string.h>

#include "server/api/fields.h"
#include "server/api/json_body.h"
#include "server/completion/prompt.h"

/* A model's end tokens and those of a middle are ignored alike. */
static enum api_error_kind use_tokens(struct completion *c, const char *field,
                                      const struct api_limits *limits, struct api_error *e) {
    size_t count;
    const int32_t *ends = engine_infill_ends(c->engine, &count);
    const char *why = engine_no_tokenizer(c->engine);
    if (why)
        return api_error_set(e, API_INVALID, field,
                             "'%s' needs a tokenizer, and this model has none that is read (%s).", field,
                             why);
    if (!count)
        return api_error_set(e, API_INVALID, field,
                             "'%s' is not supported: the model's tokenizer has no tokens for filling in what "
                             "is between two texts.",
                             field);
    if (c->params.ignore_eos) return API_OK;
    return api_params_add_stop_tokens(&c->params, ends, count, limits->vocabulary, e);
}

static size_t gap_bytes(const struct engine_gap *gap) {
    size_t bytes = gap->prefix_length + gap->suffix_length;
    for (size_t i = 0; i < gap->file_count; i++)
        bytes += gap->files[i].name.length + gap->files[i].text.length;
    return bytes;
}

/* The engine's names of fields are those of a completion. */
static enum api_error_kind refuse_field(const struct completion *c, const struct error *cause,
                                        struct api_error *e) {
    bool is_other = c->endpoint == API_INFILL && strcmp(cause->where, "suffix") == 0;
    const char *field = is_other ? "input_suffix" : cause->where;
    return api_error_set(e, API_INVALID, field, "'%s' is not supported: %s.", field, cause->text);
}

static enum api_error_kind encode(struct prompt *p, const struct engine_gap *gap,
                                  const struct api_limits *limits, struct api_error *e) {
    const struct completion *c = p->completion;
    struct error cause;
    size_t most = prompt_ids_max(c, limits);
    if (prompt_check_bytes(p, gap_bytes(gap), limits, e) != API_OK) return e->kind;
    enum status status = engine_encode_infill(c->engine, gap, most, &p->ids, &p->count, &cause);
    if (status == STATUS_UNSUPPORTED) return refuse_field(c, &cause, e);
    if (status != STATUS_OK) return prompt_encode_failure(p, limits, &cause, most, e);
    return prompt_check_count(p, limits, e);
}

/* ---- /infill ------------------------------------------------------------------------------------------- */

static enum api_error_kind read_text(const json_t *body, const char *name, bool must_be,
                                     struct engine_string *out, struct api_error *e) {
    const json_t *value = json_body_field(body, name);
    *out = (struct engine_string){"", 0};
    if (!value && must_be) return api_error_set(e, API_INVALID, name, "'%s' is missing.", name);
    if (!value) return API_OK;
    if (!json_is_string(value)) return api_field_wrong_type(e, name, "a string", value);
    *out = (struct engine_string){json_string_value(value), json_string_length(value)};
    return API_OK;
}

static enum api_error_kind wrong_file(size_t index, const char *what, struct api_error *e) {
    return api_error_set(e, API_INVALID, "input_extra",
                         "'input_extra' must be an array of objects with filename and text, both strings; "
                         "element %zu %s.",
                         index, what);
}

static bool read_member(const json_t *object, const char *name, struct engine_string *out) {
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value)) return false;
    *out = (struct engine_string){json_string_value(value), json_string_length(value)};
    return true;
}

/* malloc'ed; its texts are those of the body. */
static enum api_error_kind read_files(const json_t *body, struct engine_gap *gap,
                                      struct engine_gap_file **files, struct api_error *e) {
    const json_t *list = json_body_field(body, "input_extra"), *one;
    size_t index;
    *files = NULL;
    if (!list) return API_OK;
    if (!json_is_array(list)) return api_field_wrong_type(e, "input_extra", "an array of objects", list);
    *files = calloc(json_array_size(list) + 1, sizeof **files);
    if (!*files) return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
    json_array_foreach(list, index, one) {
        if (!json_is_object(one)) return wrong_file(index, "is none", e);
        if (!read_member(one, "filename", &(*files)[index].name))
            return wrong_file(index, "has no filename", e);
        if (!read_member(one, "text", &(*files)[index].text)) return wrong_file(index, "has no text", e);
    }
    gap->files = *files;
    gap->file_count = json_array_size(list);
    return API_OK;
}

/* Too many tokens are most of all those of the longest. */
static const char *longest_field(const struct engine_string *prefix, const struct engine_string *prompt,
                                 const struct engine_gap *gap) {
    size_t longest = prefix->length;
    const char *field = "input_prefix";
    if (prompt->length > longest) longest = prompt->length, field = "prompt";
    if (gap->suffix_length > longest) longest = gap->suffix_length, field = "input_suffix";
    return gap_bytes(gap) - gap->prefix_length - gap->suffix_length > longest ? "input_extra" : field;
}

/* The prompt is what the gap begins with: the model sees it behind the prefix. malloc'ed. */
static char *join(const struct engine_string *prefix, const struct engine_string *prompt) {
    char *joined = malloc(prefix->length + prompt->length + 1);
    if (!joined) return NULL;
    memcpy(joined, prefix->text, prefix->length);
    memcpy(joined + prefix->length, prompt->text, prompt->length);
    joined[prefix->length + prompt->length] = '\0';
    return joined;
}

enum api_error_kind infill_read(struct completion *c, const json_t *body, const struct api_limits *limits,
                                struct api_error *e) {
    struct engine_string prefix, suffix, prompt;
    if (use_tokens(c, "input_suffix", limits, e) != API_OK ||
        read_text(body, "input_prefix", true, &prefix, e) != API_OK ||
        read_text(body, "input_suffix", true, &suffix, e) != API_OK ||
        read_text(body, "prompt", false, &prompt, e) != API_OK ||
        prompt_allocate(c, "input_prefix", 1, limits, e) != API_OK)
        return e->kind;
    char *joined = join(&prefix, &prompt);
    if (!joined) return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
    struct engine_gap gap = {.prefix = joined,
                             .prefix_length = prefix.length + prompt.length,
                             .suffix = suffix.text,
                             .suffix_length = suffix.length,
                             .special = c->params.add_special_tokens,
                             .suffix_first = c->params.suffix_first};
    struct engine_gap_file *files;
    enum api_error_kind kind = read_files(body, &gap, &files, e);
    c->prompts[0].field = longest_field(&prefix, &prompt, &gap);
    if (kind == API_OK) kind = encode(&c->prompts[0], &gap, limits, e);
    free(files);
    free(joined);
    return kind;
}

/* ---- suffix -------------------------------------------------------------------------------------------- */

static enum api_error_kind check_beside(const struct completion *c, struct api_error *e) {
    const struct api_params *params = &c->params;
    if (params->echo) return api_error_set(e, API_INVALID, "echo", "'echo' is not possible with 'suffix'.");
    if (params->truncate_prompt_tokens)
        return api_error_set(e, API_INVALID, "truncate_prompt_tokens",
                             "'truncate_prompt_tokens' is not possible with 'suffix'.");
    return API_OK;
}

static enum api_error_kind check_prompt(const json_t *prompt, struct api_error *e) {
    if (!prompt) return api_error_set(e, API_INVALID, "prompt", "'prompt' is missing.");
    if (json_is_string(prompt) || json_array_size(prompt)) return API_OK;
    return api_error_set(
        e, API_INVALID, "prompt",
        "'prompt' must be a string or an array of strings where there is a 'suffix', not %s.",
        json_is_array(prompt) ? "an empty array" : json_body_type_name(prompt));
}

static enum api_error_kind read_one(struct prompt *p, const json_t *value, const json_t *suffix,
                                    const struct api_limits *limits, struct api_error *e) {
    if (!json_is_string(value))
        return api_error_set(e, API_INVALID, "prompt",
                             "'prompt' must be a string or an array of strings where there is a 'suffix'; "
                             "element %zu is %s.",
                             p->index, json_body_type_name(value));
    const struct engine_gap gap = {.prefix = json_string_value(value),
                                   .prefix_length = json_string_length(value),
                                   .suffix = json_string_value(suffix),
                                   .suffix_length = json_string_length(suffix),
                                   .special = p->completion->params.add_special_tokens};
    return encode(p, &gap, limits, e);
}

enum api_error_kind infill_read_suffix(struct completion *c, const json_t *prompt, const json_t *suffix,
                                       const struct api_limits *limits, struct api_error *e) {
    bool is_list = json_is_array(prompt);
    if (use_tokens(c, "suffix", limits, e) != API_OK || check_beside(c, e) != API_OK ||
        check_prompt(prompt, e) != API_OK)
        return e->kind;
    if (prompt_allocate(c, "prompt", is_list ? json_array_size(prompt) : 1, limits, e) != API_OK)
        return e->kind;
    for (size_t i = 0; i < c->prompt_count; i++)
        if (read_one(&c->prompts[i], is_list ? json_array_get(prompt, i) : prompt, suffix, limits, e) !=
            API_OK)
            return e->kind;
    return API_OK;
}
