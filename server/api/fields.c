#include "server/api/fields.h"

#include <stdio.h>
#include <string.h>

#include "server/api/json_body.h"
#include "server/api/unknown_fields.h"

/* Fields of the OpenAI API and of other servers (vLLM, llama-server, TGI, SGLang, text-generation-webui) that
 * promise a constraint or another result, which is not implemented: a client that sends one must not get an
 * answer that looks as if it had been kept.
 *
 * X(name, values): a name with '*' at its end stands for all that begin so. values: a JSON array of what
 * means "off" beside null, false, "" and [], which always do. */
#define UNSUPPORTED_FIELDS(X)                                                                                \
    /* constraints of the text */                                                                            \
    X("response_format", "[{\"type\":\"text\"}]")                                                            \
    X("structured_outputs", "[{}]")                                                                          \
    X("structural_tag", "[]")                                                                                \
    X("guided_*", "[]")                                                                                      \
    X("grammar", "[]")                                                                                       \
    X("grammar_string", "[]")                                                                                \
    X("json_schema", "[]")                                                                                   \
    X("regex", "[]")                                                                                         \
    X("ebnf", "[]")                                                                                          \
    X("stop_regex", "[]")                                                                                    \
    X("stop_sequences", "[]")                                                                                \
    X("no_stop_trim", "[]")                                                                                  \
    X("banned_strings", "[]")                                                                                \
    X("custom_token_bans", "[]")                                                                             \
    /* conversations, tools, other media */                                                                  \
    X("messages", "[]")                                                                                      \
    X("tools", "[]")                                                                                         \
    X("tool_choice", "[\"none\",\"auto\"]")                                                                  \
    X("functions", "[]")                                                                                     \
    X("function_call", "[\"none\",\"auto\"]")                                                                \
    X("chat_template", "[]")                                                                                 \
    X("chat_template_kwargs", "[{}]")                                                                        \
    X("reasoning_effort", "[\"none\"]")                                                                      \
    X("modalities", "[[\"text\"]]")                                                                          \
    X("audio", "[]")                                                                                         \
    X("images", "[]")                                                                                        \
    X("image_data", "[]")                                                                                    \
    X("audio_data", "[]")                                                                                    \
    X("multi_modal_data", "[{}]")                                                                            \
    X("prompt_embeds", "[]")                                                                                 \
    X("input_embeds", "[]")                                                                                  \
    /* other models, other passes */                                                                         \
    X("lora", "[]")                                                                                          \
    X("lora_path", "[]")                                                                                     \
    X("lora_request", "[]")                                                                                  \
    X("adapter_id", "[]")                                                                                    \
    X("logits_processors", "[]")                                                                             \
    X("custom_logit_processor", "[]")                                                                        \
    X("kv_transfer_params", "[{}]")                                                                          \
    X("vllm_xargs", "[{}]")                                                                                  \
    X("cache_salt", "[]")                                                                                    \
    X("ec_transfer_params", "[{}]")                                                                          \
    X("return_hidden_states", "[]")                                                                          \
    /* other ways to search and to sample */                                                                 \
    X("use_beam_search", "[]")                                                                               \
    X("num_beams", "[1]")                                                                                    \
    X("num_beam_groups", "[1]")                                                                              \
    X("length_penalty", "[1]")                                                                               \
    X("early_stopping", "[]")                                                                                \
    X("penalty_alpha", "[0]")                                                                                \
    X("no_repeat_ngram_size", "[0]")                                                                         \
    X("encoder_repetition_penalty", "[1]")                                                                   \
    X("repetition_detection", "[]")                                                                          \
    X("repeat_penalty", "[1]")                                                                               \
    X("dry_multiplier", "[0]")                                                                               \
    X("xtc_probability", "[0]")                                                                              \
    X("dynatemp_range", "[0]")                                                                               \
    X("dynamic_temperature", "[]")                                                                           \
    X("smoothing_factor", "[0]")                                                                             \
    X("mirostat", "[0]")                                                                                     \
    X("mirostat_mode", "[0]")                                                                                \
    X("top_n_sigma", "[0,-1]")                                                                               \
    X("top_a", "[0]")                                                                                        \
    X("tfs", "[1]")                                                                                          \
    X("tfs_z", "[1]")                                                                                        \
    X("epsilon_cutoff", "[0]")                                                                               \
    X("eta_cutoff", "[0]")                                                                                   \
    X("typ_p", "[1]")                                                                                        \
    X("samplers", "[]")                                                                                      \
    X("sampler_priority", "[]")                                                                              \
    X("sampler_order", "[]")                                                                                 \
    X("watermark", "[]")                                                                                     \
    X("watermarking", "[]")                                                                                  \
    X("thinking_token_budget", "[]")                                                                         \
    /* other names of what we have: ignoring them would give another length or another shape */              \
    X("max_completion_tokens", "[]")                                                                         \
    X("max_new_tokens", "[]")                                                                                \
    X("min_new_tokens", "[0]")                                                                               \
    X("n_predict", "[]")                                                                                     \
    X("n_keep", "[0]")                                                                                       \
    X("t_max_predict_ms", "[0,-1]")                                                                          \
    X("top_logprobs", "[0]")                                                                                 \
    X("n_probs", "[0]")                                                                                      \
    X("top_n_tokens", "[0]")                                                                                 \
    X("logprob_token_ids", "[]")                                                                             \
    X("return_weight_versions", "[]")                                                                        \
    X("return_logprob", "[]")                                                                                \
    X("logprob_start_len", "[-1]")                                                                           \
    X("return_full_text", "[]")                                                                              \
    X("decoder_input_details", "[]")                                                                         \
    /* of /tokenize */                                                                                       \
    X("return_token_strs", "[]")                                                                             \
    X("with_pieces", "[]")                                                                                   \
    X("parse_special", "[true]")

struct unsupported {
    const char *name, *values;
};

static const struct unsupported unsupported_fields[] = {
#define X(name, values) {name, values},
    UNSUPPORTED_FIELDS(X)
#undef X
};

static bool is_named(const char *pattern, const char *name) {
    size_t length = strlen(pattern);
    if (pattern[length - 1] == '*') return strncmp(pattern, name, length - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static const struct unsupported *find_unsupported(const char *name) {
    for (size_t i = 0; i < sizeof unsupported_fields / sizeof *unsupported_fields; i++)
        if (is_named(unsupported_fields[i].name, name)) return &unsupported_fields[i];
    return NULL;
}

static bool is_equal(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

/* Without memory nothing is taken for harmless. */
static bool is_off(const json_t *value, const char *values) {
    if (json_is_false(value)) return true;
    if (json_is_string(value) && json_string_length(value) == 0) return true;
    if (json_is_array(value) && json_array_size(value) == 0) return true;
    json_t *list = json_loads(values, 0, NULL);
    bool found = false;
    for (size_t i = 0; i < json_array_size(list) && !found; i++)
        found = is_equal(value, json_array_get(list, i));
    json_decref(list);
    return found;
}

static bool is_known(const char *name, const char *const *known, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, known[i]) == 0) return true;
    return false;
}

static enum api_error_kind check_field(const char *name, const json_t *value, const char *prefix,
                                       const struct api_limits *limits, struct api_error *e) {
    char full[128];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const struct unsupported *unsupported = find_unsupported(name);
    if (unsupported && is_off(value, unsupported->values)) return API_OK;
    if (unsupported)
        return api_error_set(
            e, API_INVALID, full,
            "'%.60s' is not supported by this server: without it the request can be answered.", full);
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
