#include "engine/text/sources/tokenizer_config_parts.h"

#include <stdlib.h>

#include "engine/text/containers/text_buffer.h"
#include "engine/text/sources/file_names.h"
#include "engine/text/token_model/vocabulary.h"

/* ---- their order ---- */

static bool flag_of(const json_t *entry, const char *key, bool fallback) {
    const json_t *value = json_object_get(entry, key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

/* Puts a token in, or its flags in place of those that it has. A token stays special that was. Before the pieces of a
 * tokenizer.model all tokens are looked for in the text as it stands. */
static enum status put_token(struct tokenizer_edit *t, const char *content, const json_t *flags, bool special,
                             struct error *e) {
    json_t *before = json_object_get(t->known, content);
    bool own_special = flag_of(flags, "special", false);
    bool normalized = flag_of(flags, "normalized", json_is_object(flags) ? !own_special : !special);
    json_t *entry = json_pack("{s:s, s:b, s:b, s:b, s:b, s:b}", "content", content, "special",
                              special || own_special || flag_of(before, "special", false), "normalized",
                              normalized && !tokenizer_edit_is_sentence_piece(t), "lstrip",
                              flag_of(flags, "lstrip", false), "rstrip", flag_of(flags, "rstrip", false),
                              "single_word", flag_of(flags, "single_word", false));
    if (!entry) return text_no_memory(e);
    int failed = before ? json_object_update(before, entry) : json_array_append(t->added, entry);
    if (failed == 0 && !before) failed = json_object_set(t->known, content, entry);
    json_decref(entry);
    return failed ? text_no_memory(e) : STATUS_OK;
}

struct numbered {
    long id;
    const char *content;
    const json_t *entry;
};

static int compare_numbered(const void *a, const void *b) {
    long left = ((const struct numbered *)a)->id, right = ((const struct numbered *)b)->id;
    return left < right ? -1 : left > right;
}

static enum status put_numbered(struct tokenizer_edit *t, struct numbered *list, size_t count,
                                struct error *e) {
    enum status status = STATUS_OK;
    qsort(list, count, sizeof *list, compare_numbered);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        bool special = json_object_get(t->special_names, list[i].content) != NULL;
        status = put_token(t, list[i].content, list[i].entry, special, e);
    }
    return status;
}

/* "added_tokens_decoder": {id: {"content", flags}}; the tokens are added in the order of their ids. */
static enum status add_listed(struct tokenizer_edit *t, struct error *e) {
    const json_t *listed = tokenizer_edit_config(t, "added_tokens_decoder");
    if (!json_is_object(listed))
        return error_set(e, STATUS_MALFORMED, FILE_NAME_TOKENIZER_CONFIG,
                         "added_tokens_decoder: expected an object");
    struct numbered *list = calloc(json_object_size(listed) + 1, sizeof *list);
    enum status status = list ? STATUS_OK : text_no_memory(e);
    size_t count = 0;
    const char *key;
    json_t *entry;
    json_object_foreach((json_t *)listed, key, entry) {
        char *end;
        if (status != STATUS_OK) break;
        list[count] = (struct numbered){strtol(key, &end, 10), side_files_content(entry), entry};
        if (*end || end == key || !json_is_object(entry) || !list[count].content || list[count].id < 0 ||
            list[count].id > VOCABULARY_ID_MAX)
            status = error_set(e, STATUS_MALFORMED, FILE_NAME_TOKENIZER_CONFIG,
                               "added_tokens_decoder.%s: expected an id, and a token with its content", key);
        else if (json_object_set_new(t->file_known, list[count].content, json_true()) != 0)
            status = text_no_memory(e);
        count++;
    }
    if (status == STATUS_OK) status = put_numbered(t, list, count, e);
    free(list);
    return status;
}

/* Without such a list the tokens of tokenizer.json are put in again as special ones, if they are named as such. */
static enum status raise_specials(struct tokenizer_edit *t, struct error *e) {
    for (size_t i = 0; i < json_array_size(t->added); i++) {
        json_t *entry = json_array_get(t->added, i);
        const char *content = json_string_value(json_object_get(entry, "content"));
        if (content && json_object_get(t->special_names, content) &&
            json_object_set_new(entry, "special", json_true()) != 0)
            return text_no_memory(e);
    }
    return STATUS_OK;
}

/* Before there was such a list: added_tokens.json. Ids that tokenizer.json has too are tokenizer.json's. */
static enum status add_unlisted(struct tokenizer_edit *t, struct error *e) {
    struct numbered *list = calloc(json_object_size(t->side->added) + 1, sizeof *list);
    enum status status = list ? STATUS_OK : text_no_memory(e);
    size_t count = 0;
    const char *content;
    json_t *id;
    json_object_foreach(t->side->added, content, id) {
        if (status == STATUS_OK && !json_is_integer(id))
            status = error_set(e, STATUS_MALFORMED, FILE_NAME_ADDED_TOKENS, "'%s': expected an id", content);
        if (status == STATUS_OK && !json_object_get(t->known, content))
            list[count++] = (struct numbered){(long)json_integer_value(id), content, json_null()};
    }
    if (status == STATUS_OK) status = put_numbered(t, list, count, e);
    free(list);
    return status;
}

/* A special token that is written as a text is added where it is none yet. One with flags brings them along, unless
 * the files that list tokens have it: then theirs count, but not before those of a list of special tokens. */
static enum status add_specials(struct tokenizer_edit *t, const json_t *specials, bool is_list,
                                struct error *e) {
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < json_array_size(specials); i++) {
        const json_t *entry = json_array_get(specials, i);
        const char *content = side_files_content(entry);
        bool brings_flags = json_is_object(entry) && (is_list || !json_object_get(t->file_known, content));
        if (brings_flags || !json_object_get(t->known, content))
            status = put_token(t, content, entry, true, e);
    }
    return status;
}

/* ---- their ids ---- */

/* Writes into the entries of "added_tokens" the ids that added_tokens_init will give them. */
static enum status number_tokens(struct tokenizer_edit *t, struct error *e) {
    const json_t *vocab = json_object_get(json_object_get(t->file, "model"), "vocab");
    json_int_t end = 0, count = (json_int_t)(json_object_size(vocab) + json_array_size(vocab));
    for (size_t i = 0; i < json_array_size(t->added); i++) {
        json_t *entry = json_array_get(t->added, i);
        const char *content = json_string_value(json_object_get(entry, "content"));
        const json_t *own = content ? json_object_get(t->vocabulary, content) : NULL;
        json_int_t id = own ? json_integer_value(own) : end > count ? end : count;
        if (!content || !*content) continue; /* whoever reads the list says what is wrong with it */
        if (json_object_set_new(entry, "id", json_integer(id)) != 0) return text_no_memory(e);
        if (id + 1 > end) end = id + 1;
    }
    return STATUS_OK;
}

json_int_t tokenizer_edit_added_id(const struct tokenizer_edit *t, const char *content) {
    const json_t *id = json_object_get(json_object_get(t->known, content), "id");
    return json_is_integer(id) ? json_integer_value(id) : -1;
}

/* Behind a tokenizer.model a token has the id that the list gives it, and nowhere else is it written: it must be the
 * one that it gets here. */
static enum status check_listed_ids(const struct tokenizer_edit *t, struct error *e) {
    const char *key;
    json_t *entry;
    if (!tokenizer_edit_is_sentence_piece(t)) return STATUS_OK;
    json_object_foreach((json_t *)tokenizer_edit_config(t, "added_tokens_decoder"), key, entry) {
        const char *content = side_files_content(entry);
        json_int_t id = content ? tokenizer_edit_added_id(t, content) : -1;
        if (id != strtol(key, NULL, 10))
            return error_set(e, STATUS_UNSUPPORTED, FILE_NAME_TOKENIZER_CONFIG,
                             "added_tokens_decoder.%s: '%s' gets the id %lld behind the pieces of the model",
                             key, content ? content : "", (long long)id);
    }
    return STATUS_OK;
}

/* ---- all ---- */

enum status tokenizer_edit_add_tokens(struct tokenizer_edit *t, struct error *e) {
    enum status status = t->decoder_is_listed ? STATUS_OK : raise_specials(t, e);
    if (status == STATUS_OK) status = t->decoder_is_listed ? add_listed(t, e) : add_unlisted(t, e);
    if (status == STATUS_OK) status = add_specials(t, t->specials, false, e);
    if (status == STATUS_OK) status = add_specials(t, t->more_specials, true, e);
    if (status == STATUS_OK) status = number_tokens(t, e);
    return status == STATUS_OK ? check_listed_ids(t, e) : status;
}
