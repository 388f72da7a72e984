#include "engine/text/token_model/word_models.h"

#include <stdlib.h>

#include "engine/text/unicode/unicode.h"

enum { CHARACTERS_MAX_DEFAULT = 100 };

static enum status add(struct token_list *out, int32_t id, struct error *e) {
    return token_list_add(out, id) ? STATUS_OK : text_no_memory(e);
}

static enum status add_unknown(const struct unknown *u, struct token_list *out, struct error *e) {
    return u->id >= 0 ? add(out, u->id, e) : unknown_error(u, e);
}

enum status word_level_init(struct word_level *w, const struct vocabulary *v, const struct json_path *path,
                            struct error *e) {
    *w = (struct word_level){.vocabulary = v};
    return unknown_read(&w->unknown, path, "<unk>", v, e);
}

void word_level_deinit(struct word_level *w) {
    unknown_deinit(&w->unknown);
}

enum status word_level_encode(const struct word_level *w, const char *word, size_t length,
                              struct token_list *out, struct error *e) {
    int32_t id = vocabulary_find(w->vocabulary, word, length);
    return id >= 0 ? add(out, id, e) : add_unknown(&w->unknown, out, e);
}

static enum status build_trie(struct word_piece *w, const struct vocabulary *v, struct error *e) {
    enum status status = STATUS_OK;
    for (size_t id = 0; status == STATUS_OK && id < v->id_end; id++) {
        size_t length;
        const char *content = vocabulary_content(v, (int32_t)id, &length);
        if (content && length > 0) status = trie_add(&w->tokens, content, length, (int32_t)id, e);
    }
    return status;
}

static void find_inner(struct word_piece *w, const char *prefix, size_t length) {
    w->inner = TRIE_ROOT;
    w->has_inner = true;
    for (size_t i = 0; i < length && w->has_inner; i++) {
        w->inner = trie_step(&w->tokens, w->inner, (unsigned char)prefix[i]);
        w->has_inner = w->inner != TRIE_ROOT;
    }
}

enum status word_piece_init(struct word_piece *w, const struct vocabulary *v, const struct json_path *path,
                            struct error *e) {
    const char *prefix;
    size_t length;
    *w = (struct word_piece){0};
    enum status status = unknown_read(&w->unknown, path, "[UNK]", v, e);
    if (status == STATUS_OK)
        status = json_path_string(path, "continuing_subword_prefix", "##", &prefix, &length, e);
    if (status == STATUS_OK)
        status = json_path_count(path, "max_input_chars_per_word", CHARACTERS_MAX_DEFAULT, INT64_MAX,
                                 &w->characters_max, e);
    if (status == STATUS_OK) status = build_trie(w, v, e);
    if (status == STATUS_OK) find_inner(w, prefix, length);
    return status;
}

void word_piece_deinit(struct word_piece *w) {
    unknown_deinit(&w->unknown);
    trie_deinit(&w->tokens);
}

enum status word_piece_encode(const struct word_piece *w, const char *word, size_t length,
                              struct token_list *out, struct error *e) {
    size_t count_before = out->count, taken = 0;
    if ((int64_t)utf8_count(word, length) > w->characters_max) return add_unknown(&w->unknown, out, e);
    for (size_t at = 0; at < length; at += taken) {
        bool possible = at == 0 || w->has_inner;
        int32_t id = possible
                         ? trie_longest(&w->tokens, at ? w->inner : TRIE_ROOT, word + at, length - at, &taken)
                         : -1;
        if (id < 0) { /* then the whole word is unknown */
            out->count = count_before;
            return add_unknown(&w->unknown, out, e);
        }
        enum status status = add(out, id, e);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}
