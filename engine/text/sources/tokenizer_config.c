#include "engine/text/sources/tokenizer_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/log.h"
#include "engine/text/containers/text_buffer.h"
#include "engine/text/token_model/vocabulary.h"

static const char config_name[] = "tokenizer_config.json";

struct edit {
    json_t *file;
    const struct side_files *side;
    const struct tokenizer_class *class;
    bool class_is_named;
    bool decoder_is_listed; /* added_tokens_decoder is there: the older files are not looked at */
    json_t *added;          /* file's "added_tokens" */
    json_t *known;          /* content -> entry of added */
    json_t *vocabulary;     /* content -> id, of the model */
    json_t *file_known; /* content -> anything: tokens of files, whose flags count before a special token's */
    json_t *specials;   /* [entry]: special tokens that the files or the class name one by one, in order */
    json_t *more_specials; /* [entry]: those that stand in lists */
    json_t *special_names; /* content -> true, of both */
};

static const json_t *config_of(const struct edit *t, const char *key) {
    return json_object_get(t->side->config, key);
}

static bool is_sentence_piece(const struct edit *t) {
    const char *type = json_string_value(json_object_get(json_object_get(t->file, "model"), "type"));
    return type && strcmp(type, "SentencePiece") == 0;
}

/* ---- ids ------------------------------------------------------------------------------------------------- */

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

/* Writes into the entries of "added_tokens" the ids that added_tokens_init will give them. */
static enum status number_tokens(struct edit *t, struct error *e) {
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

/* The id of an added token, once they are numbered; -1: it is none. */
static json_int_t added_id(const struct edit *t, const char *content) {
    const json_t *id = json_object_get(json_object_get(t->known, content), "id");
    return json_is_integer(id) ? json_integer_value(id) : -1;
}

/* ---- special tokens -------------------------------------------------------------------------------------- */

static enum status add_special(struct edit *t, json_t *into, const char *file, const char *key,
                               const json_t *entry, struct error *e) {
    const char *content = side_files_content(entry);
    if (!entry || json_is_null(entry)) return STATUS_OK;
    if (!content) return error_set(e, STATUS_MALFORMED, file, "%s: expected the content of a token", key);
    if (json_array_append(into, (json_t *)entry) != 0 ||
        json_object_set_new(t->special_names, content, json_true()) != 0)
        return text_no_memory(e);
    return STATUS_OK;
}

static enum status add_special_text(struct edit *t, json_t *into, const char *content, struct error *e) {
    json_t *entry = json_string(content);
    enum status status = entry ? add_special(t, into, config_name, "token", entry, e) : text_no_memory(e);
    json_decref(entry);
    return status;
}

/* A file's word before the class's; special_tokens_map.json, where it counts, before tokenizer_config.json. */
static const json_t *named_special(const struct edit *t, const char *key, const char **file) {
    const json_t *entry = t->decoder_is_listed ? NULL : json_object_get(t->side->special_map, key);
    *file = entry ? "special_tokens_map.json" : config_name;
    return entry ? entry : config_of(t, key);
}

static enum status add_list(struct edit *t, const char *file, const char *key, const json_t *list,
                            struct error *e) {
    enum status status = STATUS_OK;
    if (list && !json_is_null(list) && !json_is_array(list))
        return error_set(e, STATUS_MALFORMED, file, "%s: expected a list of tokens", key);
    for (size_t i = 0; status == STATUS_OK && i < json_array_size(list); i++)
        status = add_special(t, t->more_specials, file, key, json_array_get(list, i), e);
    return status;
}

/* additional_special_tokens of both files, and extra_special_tokens {name: token}. */
static enum status add_more_specials(struct edit *t, struct error *e) {
    static const char key[] = "additional_special_tokens";
    const json_t *map = t->decoder_is_listed ? NULL : json_object_get(t->side->special_map, key);
    const json_t *extra = config_of(t, "extra_special_tokens");
    enum status status = add_list(t, config_name, key, config_of(t, key), e);
    if (status == STATUS_OK) status = add_list(t, "special_tokens_map.json", key, map, e);
    const char *name;
    json_t *entry;
    json_object_foreach((json_t *)extra, name, entry) {
        if (status == STATUS_OK) status = add_special(t, t->more_specials, config_name, name, entry, e);
    }
    for (int i = 0; status == STATUS_OK && i < t->class->made_up_words; i++) {
        char word[32];
        snprintf(word, sizeof word, "<madeupword%d>", i);
        status = add_special_text(t, t->more_specials, word, e);
    }
    return status;
}

static enum status collect_specials(struct edit *t, struct error *e) {
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

/* The content of one of the seven special tokens that have a key each, or NULL. which: CLASS_BOS, ... */
static const char *special_content(const struct edit *t, size_t which) {
    const char *file;
    const json_t *entry = named_special(t, tokenizer_class_keys[which], &file);
    return entry ? side_files_content(entry) : t->class->tokens[which];
}

/* ---- added tokens ---------------------------------------------------------------------------------------- */

static bool flag_of(const json_t *entry, const char *key, bool fallback) {
    const json_t *value = json_object_get(entry, key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

/* Puts a token in, or its flags in place of those that it has. A token stays special that was. Before the pieces of a
 * tokenizer.model all tokens are looked for in the text as it stands. */
static enum status put_token(struct edit *t, const char *content, const json_t *flags, bool special,
                             struct error *e) {
    json_t *before = json_object_get(t->known, content);
    bool own_special = flag_of(flags, "special", false);
    bool normalized = flag_of(flags, "normalized", json_is_object(flags) ? !own_special : !special);
    json_t *entry =
        json_pack("{s:s, s:b, s:b, s:b, s:b, s:b}", "content", content, "special",
                  special || own_special || flag_of(before, "special", false), "normalized",
                  normalized && !is_sentence_piece(t), "lstrip", flag_of(flags, "lstrip", false), "rstrip",
                  flag_of(flags, "rstrip", false), "single_word", flag_of(flags, "single_word", false));
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

static enum status put_numbered(struct edit *t, struct numbered *list, size_t count, struct error *e) {
    enum status status = STATUS_OK;
    qsort(list, count, sizeof *list, compare_numbered);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        bool special = json_object_get(t->special_names, list[i].content) != NULL;
        status = put_token(t, list[i].content, list[i].entry, special, e);
    }
    return status;
}

/* "added_tokens_decoder": {id: {"content", flags}}; the tokens are added in the order of their ids. */
static enum status add_listed(struct edit *t, struct error *e) {
    const json_t *listed = config_of(t, "added_tokens_decoder");
    if (!json_is_object(listed))
        return error_set(e, STATUS_MALFORMED, config_name, "added_tokens_decoder: expected an object");
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
            status = error_set(e, STATUS_MALFORMED, config_name,
                               "added_tokens_decoder.%s: expected an id, and a token with its content", key);
        else if (json_object_set_new(t->file_known, list[count].content, json_true()) != 0)
            status = text_no_memory(e);
        count++;
    }
    if (status == STATUS_OK) status = put_numbered(t, list, count, e);
    free(list);
    return status;
}

/* Before there was such a list: added_tokens.json. Ids that tokenizer.json has too are tokenizer.json's. */
static enum status add_unlisted(struct edit *t, struct error *e) {
    struct numbered *list = calloc(json_object_size(t->side->added) + 1, sizeof *list);
    enum status status = list ? STATUS_OK : text_no_memory(e);
    size_t count = 0;
    const char *content;
    json_t *id;
    json_object_foreach(t->side->added, content, id) {
        if (status == STATUS_OK && !json_is_integer(id))
            status = error_set(e, STATUS_MALFORMED, "added_tokens.json", "'%s': expected an id", content);
        if (status == STATUS_OK && !json_object_get(t->known, content))
            list[count++] = (struct numbered){(long)json_integer_value(id), content, json_null()};
    }
    if (status == STATUS_OK) status = put_numbered(t, list, count, e);
    free(list);
    return status;
}

/* A special token that is written as a text is added where it is none yet. One with flags brings them along, unless
 * the files that list tokens have it: then theirs count, but not before those of a list of special tokens. */
static enum status add_specials(struct edit *t, const json_t *specials, bool is_list, struct error *e) {
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

static enum status add_tokens(struct edit *t, struct error *e) {
    enum status status = t->decoder_is_listed ? add_listed(t, e) : add_unlisted(t, e);
    if (status == STATUS_OK) status = add_specials(t, t->specials, false, e);
    return status == STATUS_OK ? add_specials(t, t->more_specials, true, e) : status;
}

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
static enum status apply_prefix_space(struct edit *t, struct error *e) {
    const json_t *value = config_of(t, "add_prefix_space");
    json_t *pre = json_object_get(t->file, "pre_tokenizer");
    if (value && !json_is_boolean(value) && !json_is_null(value))
        return error_set(e, STATUS_MALFORMED, config_name, "add_prefix_space: expected true, false or null");
    if (t->class->from_model && json_is_boolean(value) && !is_sentence_piece(t))
        return error_set(e, STATUS_UNSUPPORTED, config_name,
                         "add_prefix_space: transformers reads tokenizer.model for it, and there is none");
    if (is_sentence_piece(t)) return STATUS_OK; /* it is in the normalizer */
    if (!value && !t->class->from_model && is_byte_level(pre) &&
        json_is_true(json_object_get(pre, "add_prefix_space")))
        log_warn("tokenizer.json has add_prefix_space, %s does not speak of it: it is followed (transformers "
                 "would not)",
                 config_name);
    if (json_is_boolean(value) && is_byte_level(pre) &&
        json_object_set_new(pre, "add_prefix_space", json_boolean(json_is_true(value))) != 0)
        return text_no_memory(e);
    return t->class->nested_prefix && json_is_true(value) ? set_nested(pre, "pretokenizers", e) : STATUS_OK;
}

/* ---- add_bos_token, add_eos_token ------------------------------------------------------------------------ */

static bool is_wanted(const struct edit *t, const char *key, bool fallback) {
    const json_t *value = config_of(t, key);
    return value ? json_is_true(value) : fallback;
}

static enum status apply_flags(struct edit *t, struct error *e) {
    bool adds[] = {is_wanted(t, "add_bos_token", t->class->adds_bos), is_wanted(t, "add_eos_token", false)};
    static const size_t which[] = {CLASS_BOS, CLASS_EOS};
    const char *contents[] = {NULL, NULL};
    json_int_t ids[] = {0, 0};
    if (t->class->refuses_bos && adds[0])
        return error_set(e, STATUS_UNSUPPORTED, config_name,
                         "add_bos_token: transformers refuses it for %sFast with a tokenizer.json",
                         t->class->name);
    if (!t->class->by_flags && !is_sentence_piece(t)) return STATUS_OK;
    for (size_t i = 0; i < 2; i++) {
        const char *content = adds[i] ? special_content(t, which[i]) : NULL;
        if (adds[i] && !content)
            return error_set(e, STATUS_MALFORMED, config_name, "add_%s, but there is none",
                             tokenizer_class_keys[which[i]]);
        if (adds[i]) ids[i] = added_id(t, content);
        if (ids[i] < 0) { /* only where no file names the class */
            log_warn("%s: no class is named, and '%s' is not a token: nothing is added but what "
                     "tokenizer.json says",
                     config_name, content);
            return STATUS_OK;
        }
        contents[i] = content;
    }
    json_t *template = side_files_template(contents[0], ids[0], contents[1], ids[1]);
    if (!template || json_object_set_new(t->file, "post_processor", template) != 0) return text_no_memory(e);
    return STATUS_OK;
}

/* Behind a tokenizer.model a token has the id that the list gives it, and nowhere else is it written: it must be the
 * one that it gets here. */
static enum status check_listed_ids(const struct edit *t, struct error *e) {
    const char *key;
    json_t *entry;
    if (!is_sentence_piece(t)) return STATUS_OK;
    json_object_foreach((json_t *)config_of(t, "added_tokens_decoder"), key, entry) {
        const char *content = side_files_content(entry);
        json_int_t id = content ? added_id(t, content) : -1;
        if (id != strtol(key, NULL, 10))
            return error_set(e, STATUS_UNSUPPORTED, config_name,
                             "added_tokens_decoder.%s: '%s' gets the id %lld behind the pieces of the model",
                             key, content ? content : "", (long long)id);
    }
    return STATUS_OK;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static enum status check_flags(const struct edit *t, struct error *e) {
    if (json_is_true(config_of(t, "split_special_tokens")))
        return error_set(e, STATUS_UNSUPPORTED, config_name,
                         "split_special_tokens: special tokens are always found in a text");
    if (json_is_true(config_of(t, "clean_up_tokenization_spaces")))
        log_info(
            "%s: clean_up_tokenization_spaces is not followed: texts have the blanks that the tokens have",
            config_name);
    return STATUS_OK;
}

static enum status begin(struct edit *t, struct error *e) {
    t->added = json_object_get(t->file, "added_tokens");
    t->decoder_is_listed = config_of(t, "added_tokens_decoder") != NULL;
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
        return error_set(e, STATUS_MALFORMED, "tokenizer.json", "added_tokens: expected an array");
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
    struct edit t = {.file = file, .side = side};
    if (!json_is_object(file) || (!side->config && !side->model_config && !side->special_map && !side->added))
        return STATUS_OK;
    enum status status =
        tokenizer_class_find(side->config, side->model_config, &t.class, &t.class_is_named, e);
    if (status == STATUS_OK) status = check_flags(&t, e);
    if (status == STATUS_OK) status = begin(&t, e);
    if (status == STATUS_OK) status = collect_specials(&t, e);
    if (status == STATUS_OK) status = add_tokens(&t, e);
    if (status == STATUS_OK) status = number_tokens(&t, e);
    if (status == STATUS_OK) status = check_listed_ids(&t, e);
    if (status == STATUS_OK) status = apply_prefix_space(&t, e);
    if (status == STATUS_OK) status = apply_flags(&t, e);
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
