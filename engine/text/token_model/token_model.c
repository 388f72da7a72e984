#include "engine/text/token_model/token_model.h"

#include <stdlib.h>
#include <string.h>

#include "engine/files/json_repair.h"
#include "engine/text/pretokenize/byte_level.h"
#include "engine/text/unicode/unicode.h"

/* A token whose content has U+0000 in it, as the key stands for it (json_repair.h). */
static enum status add_with_nuls(struct vocabulary *v, const char *key, int32_t id, struct error *e) {
    char *content = strdup(key);
    if (!content) return text_no_memory(e);
    enum status status = vocabulary_add(v, content, json_repair_restore(content), id, e);
    free(content);
    return status;
}

/* {"content": id, ...}; two contents of one id would make decoding a matter of chance. */
static enum status read_vocabulary(struct vocabulary *v, const struct json_path *model, struct error *e) {
    struct json_path path = json_path_member(model, "vocab");
    enum status status = json_path_object(&path, e);
    const char *content;
    json_t *value;
    json_object_foreach((json_t *)path.value, content, value) {
        if (status != STATUS_OK) return status;
        struct json_path entry = {.parent = &path, .name = content, .value = value};
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id > VOCABULARY_ID_MAX)
            return json_path_error(&entry, STATUS_MALFORMED, e, "expected an id from 0 to %d",
                                   VOCABULARY_ID_MAX);
        const char *other = vocabulary_content(v, (int32_t)id, NULL);
        if (other)
            return json_path_error(&entry, STATUS_MALFORMED, e, "id %lld is that of '%s' too", (long long)id,
                                   other);
        status = strstr(content, JSON_REPAIR_NUL)
                     ? add_with_nuls(v, content, (int32_t)id, e)
                     : vocabulary_add(v, content, strlen(content), (int32_t)id, e);
    }
    return status;
}

/* Files from before "type" was written are told by their other keys. */
static enum status read_type(const struct json_path *path, const char **type, struct error *e) {
    const char *guess = json_object_get(path->value, "merges")                      ? "BPE"
                        : json_is_array(json_object_get(path->value, "vocab"))      ? "Unigram"
                        : json_object_get(path->value, "continuing_subword_prefix") ? "WordPiece"
                                                                                    : "WordLevel";
    enum status status = json_path_object(path, e);
    return status == STATUS_OK ? json_path_string(path, "type", guess, type, NULL, e) : status;
}

enum status token_model_init(struct token_model *m, const struct json_path *path, struct error *e) {
    const char *type;
    *m = (struct token_model){0};
    enum status status = read_type(path, &type, e);
    if (status != STATUS_OK) return status;
    if (strcmp(type, "Unigram") == 0) {
        m->kind = TOKEN_MODEL_UNIGRAM;
        status = unigram_read_vocabulary(&m->vocabulary, path, e);
        return status == STATUS_OK ? unigram_init(&m->unigram, &m->vocabulary, path, e) : status;
    }
    if (strcmp(type, "SentencePiece") == 0) {
        m->kind = TOKEN_MODEL_SENTENCE_PIECE;
        status = sentence_piece_read_vocabulary(&m->vocabulary, path, e);
        return status == STATUS_OK ? sentence_piece_init(&m->sentence_piece, &m->vocabulary, path, e)
                                   : status;
    }
    struct json_path at = json_path_member(path, "type");
    if (strcmp(type, "BPE") != 0 && strcmp(type, "WordLevel") != 0 && strcmp(type, "WordPiece") != 0 &&
        strcmp(type, "CTRL") != 0)
        return json_path_error(&at, STATUS_UNSUPPORTED, e, "'%s' is not supported", type);
    status = read_vocabulary(&m->vocabulary, path, e);
    if (status != STATUS_OK) return status;
    if (strcmp(type, "BPE") == 0) {
        m->kind = TOKEN_MODEL_BPE;
        return bpe_init(&m->bpe, &m->vocabulary, path, e);
    }
    if (strcmp(type, "CTRL") == 0) {
        m->kind = TOKEN_MODEL_CTRL;
        return ctrl_init(&m->ctrl, &m->vocabulary, path, e);
    }
    if (strcmp(type, "WordLevel") == 0) {
        m->kind = TOKEN_MODEL_WORD_LEVEL;
        return word_level_init(&m->word_level, &m->vocabulary, path, e);
    }
    m->kind = TOKEN_MODEL_WORD_PIECE;
    return word_piece_init(&m->word_piece, &m->vocabulary, path, e);
}

void token_model_deinit(struct token_model *m) {
    switch (m->kind) {
    case TOKEN_MODEL_BPE:
        bpe_deinit(&m->bpe);
        break;
    case TOKEN_MODEL_UNIGRAM:
        unigram_deinit(&m->unigram);
        break;
    case TOKEN_MODEL_WORD_LEVEL:
        word_level_deinit(&m->word_level);
        break;
    case TOKEN_MODEL_WORD_PIECE:
        word_piece_deinit(&m->word_piece);
        break;
    case TOKEN_MODEL_SENTENCE_PIECE:
        sentence_piece_deinit(&m->sentence_piece);
        break;
    case TOKEN_MODEL_CTRL:
        ctrl_deinit(&m->ctrl);
        break;
    case TOKEN_MODEL_NONE:
        break;
    }
    vocabulary_deinit(&m->vocabulary);
    *m = (struct token_model){0};
}

void token_model_scratch_deinit(struct token_model_scratch *s) {
    bpe_scratch_deinit(&s->bpe);
    unigram_scratch_deinit(&s->unigram);
    sentence_piece_scratch_deinit(&s->sentence_piece);
    ctrl_scratch_deinit(&s->ctrl);
}

static size_t longest_content(const struct vocabulary *v) {
    size_t longest = UTF8_BYTES_MAX; /* a character that is unknown has a token of its own */
    for (size_t id = 0; id < v->id_end; id++)
        if (v->entries[id].present && v->entries[id].length > longest) longest = v->entries[id].length;
    return longest;
}

static bool has_all(const int32_t ids[256]) {
    for (size_t byte = 0; byte < 256; byte++)
        if (ids[byte] < 0) return false;
    return true;
}

static bool has_byte_level_letters(const struct vocabulary *v) {
    for (unsigned byte = 0; byte < 256; byte++) {
        char letter[UTF8_BYTES_MAX];
        size_t length = utf8_encode(byte_level_point((unsigned char)byte), letter);
        if (vocabulary_find(v, letter, length) < 0) return false;
    }
    return true;
}

/* Whether each character becomes a token of its own before any are merged. */
static bool bpe_keeps_all(const struct bpe *b, const struct vocabulary *v, bool is_byte_level) {
    if (b->byte_fallback && has_all(b->byte_ids)) return true;
    if (b->unknown.content) return !b->fuse_unknown;
    return is_byte_level && b->prefix.length == 0 && b->suffix.length == 0 && has_byte_level_letters(v);
}

size_t model_bytes_per_token_max(const struct token_model *m, bool is_byte_level) {
    bool keeps = false;
    if (m->kind == TOKEN_MODEL_BPE) keeps = bpe_keeps_all(&m->bpe, &m->vocabulary, is_byte_level);
    if (m->kind == TOKEN_MODEL_UNIGRAM) keeps = m->unigram.byte_fallback && has_all(m->unigram.byte_ids);
    if (m->kind == TOKEN_MODEL_SENTENCE_PIECE) keeps = m->sentence_piece.byte_fallback;
    return keeps ? longest_content(&m->vocabulary) : 0;
}

enum status token_model_encode(const struct token_model *m, struct token_model_scratch *s, const char *word,
                               size_t length, struct token_list *out, struct error *e) {
    switch (m->kind) {
    case TOKEN_MODEL_BPE:
        return bpe_encode(&m->bpe, &s->bpe, word, length, out, e);
    case TOKEN_MODEL_UNIGRAM:
        return unigram_encode(&m->unigram, &s->unigram, word, length, out, e);
    case TOKEN_MODEL_WORD_LEVEL:
        return word_level_encode(&m->word_level, word, length, out, e);
    case TOKEN_MODEL_WORD_PIECE:
        return word_piece_encode(&m->word_piece, word, length, out, e);
    case TOKEN_MODEL_SENTENCE_PIECE:
        return sentence_piece_encode(&m->sentence_piece, &s->sentence_piece, word, length, out, e);
    case TOKEN_MODEL_CTRL:
        return ctrl_encode(&m->ctrl, &s->ctrl, word, length, out, e);
    case TOKEN_MODEL_NONE:
        break;
    }
    return STATUS_OK;
}
