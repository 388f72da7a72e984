#include "engine/text/sources/tokenizer_config_parts.h"

#include <string.h>

#include "engine/base/log.h"
#include "engine/text/containers/text_buffer.h"
#include "engine/text/sources/file_names.h"

/* ---- add_prefix_space ------------------------------------------------------------------------------------ */

static bool is_byte_level(const json_t *step) {
    const char *type = json_string_value(json_object_get(step, "type"));
    return type && strcmp(type, "ByteLevel") == 0;
}

/* Each ByteLevel of a sequence, one level deep as the library writes them, or the one there is. */
static enum status set_nested(json_t *step, const char *list, struct error *e) {
    const json_t *steps = json_object_get(step, list);
    if (is_byte_level(step) && json_object_set_new(step, "add_prefix_space", json_true()) != 0)
        return text_no_memory(e);
    for (size_t i = 0; i < json_array_size(steps); i++)
        if (is_byte_level(json_array_get(steps, i)) &&
            json_object_set_new(json_array_get(steps, i), "add_prefix_space", json_true()) != 0)
            return text_no_memory(e);
    return STATUS_OK;
}

/* A ByteLevel that stands alone has what tokenizer_config.json says; where that says nothing, or null, it stays as it
 * is. (The library takes false where it says nothing, and so has other ids than its own tokenizers library.) */
enum status tokenizer_edit_prefix_space(struct tokenizer_edit *t, struct error *e) {
    const json_t *value = tokenizer_edit_config(t, "add_prefix_space");
    json_t *pre = json_object_get(t->file, "pre_tokenizer");
    if (value && !json_is_boolean(value) && !json_is_null(value))
        return error_set(e, STATUS_MALFORMED, FILE_NAME_TOKENIZER_CONFIG,
                         "add_prefix_space: expected true, false or null");
    if (t->class->from_model && json_is_boolean(value) && !tokenizer_edit_is_sentence_piece(t))
        return error_set(e, STATUS_UNSUPPORTED, FILE_NAME_TOKENIZER_CONFIG,
                         "add_prefix_space: transformers reads %s for it, and there is none",
                         t->class->model_file);
    if (tokenizer_edit_is_sentence_piece(t)) return STATUS_OK; /* it is in the normalizer */
    if (!value && !t->class->from_model && is_byte_level(pre) &&
        json_is_true(json_object_get(pre, "add_prefix_space")))
        log_warn("tokenizer.json has add_prefix_space, %s does not speak of it: it is followed (transformers "
                 "would not)",
                 FILE_NAME_TOKENIZER_CONFIG);
    if (json_is_boolean(value) && is_byte_level(pre) &&
        json_object_set_new(pre, "add_prefix_space", json_boolean(json_is_true(value))) != 0)
        return text_no_memory(e);
    return t->class->nested_prefix && json_is_true(value) ? set_nested(pre, "pretokenizers", e) : STATUS_OK;
}

/* ---- add_bos_token, add_eos_token ------------------------------------------------------------------------ */

static bool is_wanted(const struct tokenizer_edit *t, const char *key, bool fallback) {
    const json_t *value = tokenizer_edit_config(t, key);
    return value ? json_is_true(value) : fallback;
}

/* The keys of the tokens that stand before and behind a text; CLASS_TOKENS: none. A class that reads a model of
 * SentencePiece and does not go by the flags has its own. */
static void choose_frame(const struct tokenizer_edit *t, size_t which[2]) {
    const struct tokenizer_class *class = t->class;
    bool has_own = tokenizer_edit_is_sentence_piece(t) && class->model_file && !class->by_flags;
    bool first = has_own ? class->model_sep_first : is_wanted(t, "add_bos_token", class->adds_bos);
    bool last = has_own ? class->model_eos_last : is_wanted(t, "add_eos_token", false);
    which[0] = !first ? CLASS_TOKENS : has_own ? CLASS_SEP : CLASS_BOS;
    which[1] = last ? CLASS_EOS : CLASS_TOKENS;
}

enum status tokenizer_edit_frame(struct tokenizer_edit *t, struct error *e) {
    const char *contents[] = {NULL, NULL};
    json_int_t ids[] = {0, 0};
    size_t which[2];
    if (t->class->refuses_bos && is_wanted(t, "add_bos_token", false))
        return error_set(e, STATUS_UNSUPPORTED, FILE_NAME_TOKENIZER_CONFIG,
                         "add_bos_token: transformers refuses it for %sFast with a tokenizer.json",
                         t->class->name);
    if (!t->class->by_flags && !tokenizer_edit_is_sentence_piece(t)) return STATUS_OK;
    choose_frame(t, which);
    for (size_t i = 0; i < 2; i++) {
        if (which[i] == CLASS_TOKENS) continue;
        contents[i] = tokenizer_edit_special(t, which[i]);
        if (!contents[i])
            return error_set(e, STATUS_MALFORMED, FILE_NAME_TOKENIZER_CONFIG, "add_%s, but there is none",
                             tokenizer_class_keys[which[i]]);
        ids[i] = tokenizer_edit_added_id(t, contents[i]);
        if (ids[i] < 0) { /* only where no file names the class */
            log_warn("%s: no class is named, and '%s' is not a token: nothing is added but what "
                     "tokenizer.json says",
                     FILE_NAME_TOKENIZER_CONFIG, contents[i]);
            return STATUS_OK;
        }
    }
    json_t *template = side_files_template(contents[0], ids[0], contents[1], ids[1]);
    if (!template || json_object_set_new(t->file, "post_processor", template) != 0) return text_no_memory(e);
    return STATUS_OK;
}
