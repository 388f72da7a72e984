#include "engine/text/sources/tokenizer_config.h"

#include <string.h>

#include "engine/base/log.h"
#include "engine/text/containers/text_buffer.h"
#include "engine/text/sources/file_names.h"
#include "engine/text/sources/tokenizer_config_parts.h"

const json_t *tokenizer_edit_config(const struct tokenizer_edit *t, const char *key) {
    return json_object_get(t->side->config, key);
}

bool tokenizer_edit_is_sentence_piece(const struct tokenizer_edit *t) {
    const char *type = json_string_value(json_object_get(json_object_get(t->file, "model"), "type"));
    return type && strcmp(type, "SentencePiece") == 0;
}

/* *out: content -> id of "vocab", which is that already, or a list of contents, or of contents with scores. */
static enum status index_vocabulary(const json_t *file, json_t **out, struct error *e) {
    json_t *vocab = json_object_get(json_object_get(file, "model"), "vocab");
    *out = json_is_object(vocab) ? json_incref(vocab) : json_object();
    if (!*out) return text_no_memory(e);
    for (size_t i = 0; i < json_array_size(vocab); i++) {
        const json_t *item = json_array_get(vocab, i);
        const char *content = json_string_value(json_is_array(item) ? json_array_get(item, 0) : item);
        if (content && json_object_set_new(*out, content, json_integer((json_int_t)i)) != 0)
            return text_no_memory(e);
    }
    return STATUS_OK;
}

static enum status check_flags(const struct tokenizer_edit *t, struct error *e) {
    if (json_is_true(tokenizer_edit_config(t, "split_special_tokens")))
        return error_set(e, STATUS_UNSUPPORTED, FILE_NAME_TOKENIZER_CONFIG,
                         "split_special_tokens: special tokens are always found in a text");
    if (json_is_true(tokenizer_edit_config(t, "clean_up_tokenization_spaces")))
        log_info(
            "%s: clean_up_tokenization_spaces is not followed: texts have the blanks that the tokens have",
            FILE_NAME_TOKENIZER_CONFIG);
    return STATUS_OK;
}

static enum status begin(struct tokenizer_edit *t, struct error *e) {
    t->added = json_object_get(t->file, "added_tokens");
    t->decoder_is_listed = tokenizer_edit_config(t, "added_tokens_decoder") != NULL;
    t->known = json_object();
    t->file_known = json_object();
    t->specials = json_array();
    t->more_specials = json_array();
    t->special_names = json_object();
    if (!t->known || !t->file_known || !t->specials || !t->more_specials || !t->special_names)
        return text_no_memory(e);
    enum status status = index_vocabulary(t->file, &t->vocabulary, e);
    if (status != STATUS_OK) return status;
    if (t->added && !json_is_null(t->added) && !json_is_array(t->added))
        return error_set(e, STATUS_MALFORMED, FILE_NAME_TOKENIZER, "added_tokens: expected an array");
    if (!json_is_array(t->added)) {
        t->added = json_array();
        if (!t->added || json_object_set_new(t->file, "added_tokens", t->added) != 0)
            return text_no_memory(e);
    }
    for (size_t i = 0; i < json_array_size(t->added); i++) {
        json_t *entry = json_array_get(t->added, i);
        const char *content = json_string_value(json_object_get(entry, "content"));
        if (content && json_object_set(t->known, content, entry) != 0) return text_no_memory(e);
    }
    return t->decoder_is_listed || json_object_update(t->file_known, t->known) == 0 ? STATUS_OK
                                                                                    : text_no_memory(e);
}

enum status tokenizer_config_apply(json_t *file, const struct side_files *side, struct error *e) {
    struct tokenizer_edit t = {.file = file, .side = side};
    if (!json_is_object(file) || (!side->config && !side->model_config && !side->special_map && !side->added))
        return STATUS_OK;
    enum status status =
        tokenizer_class_find(side->config, side->model_config, &t.class, &t.class_is_named, e);
    if (status == STATUS_OK) status = check_flags(&t, e);
    if (status == STATUS_OK) status = begin(&t, e);
    if (status == STATUS_OK) status = tokenizer_edit_collect_specials(&t, e);
    if (status == STATUS_OK) status = tokenizer_edit_add_tokens(&t, e);
    if (status == STATUS_OK) status = tokenizer_edit_prefix_space(&t, e);
    if (status == STATUS_OK) status = tokenizer_edit_frame(&t, e);
    json_decref(t.known);
    json_decref(t.vocabulary);
    json_decref(t.file_known);
    json_decref(t.specials);
    json_decref(t.more_specials);
    json_decref(t.special_names);
    return status;
}

bool tokenizer_config_wants_model(const struct side_files *side) {
    const struct tokenizer_class *class;
    struct error unused;
    bool named;
    return json_is_boolean(json_object_get(side->config, "add_prefix_space")) &&
           tokenizer_class_find(side->config, side->model_config, &class, &named, &unused) == STATUS_OK &&
           class->from_model;
}
