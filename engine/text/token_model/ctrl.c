#include "engine/text/token_model/ctrl.h"

#include <stdlib.h>
#include <string.h>

#define WORD_END  "</w>"
#define WORD_GOES "@@"

enum { WORD_END_BYTES = sizeof WORD_END - 1, WORD_GOES_BYTES = sizeof WORD_GOES - 1 };

static enum status add_symbol(struct ctrl *c, const char *text, size_t length, struct error *e) {
    if (vocabulary_find(&c->symbols, text, length) >= 0) return STATUS_OK;
    if (c->symbols.id_end > VOCABULARY_ID_MAX)
        return error_set(e, STATUS_LIMIT, "vocab.json", "more than %d symbols", VOCABULARY_ID_MAX);
    return vocabulary_add(&c->symbols, text, length, (int32_t)c->symbols.id_end, e);
}

static enum status add_joined(struct ctrl *c, const char *left, size_t left_length, const char *right,
                              size_t right_length, struct error *e) {
    struct text_buffer both = {0};
    text_buffer_append(&both, left, left_length);
    text_buffer_append(&both, right, right_length);
    enum status status = text_buffer_status(&both, e);
    if (status == STATUS_OK) status = add_symbol(c, both.bytes ? both.bytes : "", both.length, e);
    text_buffer_deinit(&both);
    return status;
}

/* What a name stands for: a symbol at the end of a word, or within one; or the symbol that it is. */
static enum status add_names(struct ctrl *c, const struct vocabulary *v, bool whole, struct error *e) {
    enum status status = STATUS_OK;
    for (size_t id = 0; status == STATUS_OK && id < v->id_end; id++) {
        size_t length;
        const char *name = vocabulary_content(v, (int32_t)id, &length);
        if (!name) continue;
        status =
            whole ? add_symbol(c, name, length, e) : add_joined(c, name, length, WORD_END, WORD_END_BYTES, e);
        bool goes = !whole && length > WORD_GOES_BYTES &&
                    memcmp(name + length - WORD_GOES_BYTES, WORD_GOES, WORD_GOES_BYTES) == 0;
        if (status == STATUS_OK && goes) status = add_symbol(c, name, length - WORD_GOES_BYTES, e);
    }
    return status;
}

/* Each part of a merge, and what they become. Whoever reads the merges says what is wrong with one. */
static enum status add_merges(struct ctrl *c, const struct json_path *words, struct error *e) {
    const json_t *merges = json_object_get(words->value, "merges");
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i);
        const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
        if (!json_is_string(left) || !json_is_string(right)) continue;
        const char *first = json_string_value(left), *second = json_string_value(right);
        size_t first_length = json_string_length(left), second_length = json_string_length(right);
        status = add_symbol(c, first, first_length, e);
        if (status == STATUS_OK) status = add_symbol(c, second, second_length, e);
        if (status == STATUS_OK) status = add_joined(c, first, first_length, second, second_length, e);
    }
    return status;
}

static int32_t find_name(const struct vocabulary *v, bool whole, const char *symbol, size_t length,
                         struct text_buffer *name) {
    bool ends =
        length >= WORD_END_BYTES && memcmp(symbol + length - WORD_END_BYTES, WORD_END, WORD_END_BYTES) == 0;
    if (ends && length == WORD_END_BYTES) return -1; /* of characters that are not a symbol */
    if (whole) return vocabulary_find(v, symbol, length);
    text_buffer_clear(name);
    text_buffer_append(name, symbol, ends ? length - WORD_END_BYTES : length);
    if (!ends) text_buffer_append(name, WORD_GOES, WORD_GOES_BYTES);
    return name->length > 0 && !name->failed ? vocabulary_find(v, name->bytes, name->length) : -1;
}

static enum status find_ids(struct ctrl *c, const struct vocabulary *v, bool whole, int32_t unknown,
                            struct error *e) {
    struct text_buffer name = {0};
    c->ids = calloc(c->symbols.id_end + 1, sizeof *c->ids);
    if (!c->ids) return text_no_memory(e);
    for (size_t i = 0; i < c->symbols.id_end; i++) {
        size_t length;
        const char *symbol = vocabulary_content(&c->symbols, (int32_t)i, &length);
        int32_t id = find_name(v, whole, symbol, length, &name);
        c->ids[i] = id >= 0 ? id : unknown;
    }
    enum status status = text_buffer_status(&name, e);
    text_buffer_deinit(&name);
    return status;
}

enum status ctrl_init(struct ctrl *c, const struct vocabulary *v, const struct json_path *path,
                      struct error *e) {
    struct json_path words = json_path_member(path, "words"), at = json_path_member(path, "unk_token");
    const char *unknown;
    size_t length;
    bool whole;
    *c = (struct ctrl){0};
    enum status status = json_path_object(&words, e);
    if (status == STATUS_OK) status = json_path_bool(path, "whole_names", false, &whole, e);
    if (status == STATUS_OK) status = json_path_string(path, "unk_token", NULL, &unknown, &length, e);
    if (status != STATUS_OK) return status;
    int32_t unknown_id = vocabulary_find(v, unknown, length);
    if (unknown_id < 0)
        return json_path_error(&at, STATUS_MALFORMED, e, "'%s' is not in the vocabulary", unknown);
    status = add_symbol(c, WORD_END, WORD_END_BYTES, e); /* for characters that are not a symbol */
    if (status == STATUS_OK) status = add_names(c, v, whole, e);
    if (status == STATUS_OK) status = add_merges(c, &words, e);
    if (status == STATUS_OK) status = find_ids(c, v, whole, unknown_id, e);
    return status == STATUS_OK ? bpe_init(&c->words, &c->symbols, &words, e) : status;
}

void ctrl_deinit(struct ctrl *c) {
    bpe_deinit(&c->words);
    vocabulary_deinit(&c->symbols);
    free(c->ids);
    *c = (struct ctrl){0};
}

void ctrl_scratch_deinit(struct ctrl_scratch *s) {
    bpe_scratch_deinit(&s->words);
    free(s->symbols.ids);
    *s = (struct ctrl_scratch){0};
}

enum status ctrl_encode(const struct ctrl *c, struct ctrl_scratch *s, const char *word, size_t length,
                        struct token_list *out, struct error *e) {
    s->symbols.count = 0;
    enum status status = bpe_encode(&c->words, &s->words, word, length, &s->symbols, e);
    for (size_t i = 0; status == STATUS_OK && i < s->symbols.count; i++)
        if (!token_list_add(out, c->ids[s->symbols.ids[i]])) return text_no_memory(e);
    return status;
}
