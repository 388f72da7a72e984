#include "engine/text/sources/tokenizer_config_parts.h"

#include <stdio.h>

#include "engine/text/containers/text_buffer.h"
#include "engine/text/sources/file_names.h"
#include "engine/text/sources/sentence_piece_class.h"

static enum status add_special(struct tokenizer_edit *t, json_t *into, const char *file, const char *key,
                               const json_t *entry, struct error *e) {
    const char *content = side_files_content(entry);
    if (!entry || json_is_null(entry)) return STATUS_OK;
    if (!content) return error_set(e, STATUS_MALFORMED, file, "%s: expected the content of a token", key);
    if (json_array_append(into, (json_t *)entry) != 0 ||
        json_object_set_new(t->special_names, content, json_true()) != 0)
        return text_no_memory(e);
    return STATUS_OK;
}

static enum status add_special_text(struct tokenizer_edit *t, json_t *into, const char *content,
                                    struct error *e) {
    json_t *entry = json_string(content);
    enum status status =
        entry ? add_special(t, into, FILE_NAME_TOKENIZER_CONFIG, "token", entry, e) : text_no_memory(e);
    json_decref(entry);
    return status;
}

/* A file's word before the class's; special_tokens_map.json, where it counts, before tokenizer_config.json. */
static const json_t *named_special(const struct tokenizer_edit *t, const char *key, const char **file) {
    const json_t *entry = t->decoder_is_listed ? NULL : json_object_get(t->side->special_map, key);
    *file = entry ? FILE_NAME_SPECIAL_TOKENS : FILE_NAME_TOKENIZER_CONFIG;
    return entry ? entry : tokenizer_edit_config(t, key);
}

static enum status add_list(struct tokenizer_edit *t, const char *file, const char *key, const json_t *list,
                            struct error *e) {
    enum status status = STATUS_OK;
    if (list && !json_is_null(list) && !json_is_array(list))
        return error_set(e, STATUS_MALFORMED, file, "%s: expected a list of tokens", key);
    for (size_t i = 0; status == STATUS_OK && i < json_array_size(list); i++)
        status = add_special(t, t->more_specials, file, key, json_array_get(list, i), e);
    return status;
}

/* "<name0>", "<name1>" and so on. */
static enum status add_row(struct tokenizer_edit *t, const char *name, int count, struct error *e) {
    enum status status = STATUS_OK;
    for (int i = 0; status == STATUS_OK && i < count; i++) {
        char word[32];
        snprintf(word, sizeof word, "<%s%d>", name, i);
        status = add_special_text(t, t->more_specials, word, e);
    }
    return status;
}

static enum status add_extra_ids(struct tokenizer_edit *t, struct error *e) {
    int count;
    bool unlisted;
    enum status status = sentence_piece_class_extra_ids(t->side, &count, &unlisted, e);
    return status == STATUS_OK ? add_row(t, "extra_id_", count, e) : status;
}

/* {name: token}, or a list of tokens. */
static enum status add_extra(struct tokenizer_edit *t, const char *key, struct error *e) {
    const json_t *extra = tokenizer_edit_config(t, key);
    enum status status = STATUS_OK;
    const char *name;
    json_t *entry;
    if (!json_is_object(extra)) return add_list(t, FILE_NAME_TOKENIZER_CONFIG, key, extra, e);
    json_object_foreach((json_t *)extra, name, entry) {
        if (status == STATUS_OK)
            status = add_special(t, t->more_specials, FILE_NAME_TOKENIZER_CONFIG, name, entry, e);
    }
    return status;
}

/* additional_special_tokens of both files, extra_special_tokens, and what the class adds. For transformers 5 the second
 * is a list as the first was, and what had names has a key of its own. */
static enum status add_more_specials(struct tokenizer_edit *t, struct error *e) {
    static const char key[] = "additional_special_tokens";
    const json_t *map = t->decoder_is_listed ? NULL : json_object_get(t->side->special_map, key);
    enum status status = add_list(t, FILE_NAME_TOKENIZER_CONFIG, key, tokenizer_edit_config(t, key), e);
    if (status == STATUS_OK) status = add_list(t, FILE_NAME_SPECIAL_TOKENS, key, map, e);
    if (status == STATUS_OK) status = add_extra(t, "extra_special_tokens", e);
    if (status == STATUS_OK) status = add_extra(t, "model_specific_special_tokens", e);
    if (status == STATUS_OK) status = add_row(t, "madeupword", t->class->made_up_words, e);
    if (status == STATUS_OK && t->class->has_extra_ids) status = add_extra_ids(t, e);
    return status;
}

enum status tokenizer_edit_collect_specials(struct tokenizer_edit *t, struct error *e) {
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < CLASS_TOKENS; i++) {
        const char *file, *own = t->class->tokens[i];
        const json_t *entry = named_special(t, tokenizer_class_keys[i], &file);
        if (entry)
            status = add_special(t, t->specials, file, tokenizer_class_keys[i], entry, e);
        else if (own &&
                 (t->class_is_named || json_object_get(t->vocabulary, own) || json_object_get(t->known, own)))
            status = add_special_text(t, t->specials, own, e);
    }
    return status == STATUS_OK ? add_more_specials(t, e) : status;
}

const char *tokenizer_edit_special(const struct tokenizer_edit *t, size_t which) {
    const char *file;
    const json_t *entry = named_special(t, tokenizer_class_keys[which], &file);
    return entry ? side_files_content(entry) : t->class->tokens[which];
}
