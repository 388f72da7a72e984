#include "engine/text/token_model/sentence_piece.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/token_model/sentence_piece_parts.h"
#include "engine/text/token_model/unknown.h"

/* How much worse than the worst piece an unknown character is. */
static const float unknown_penalty = 10.0f;

static const char letters[] = {
    [SENTENCE_PIECE_NORMAL] = 'n',       [SENTENCE_PIECE_UNKNOWN] = 'x', [SENTENCE_PIECE_CONTROL] = 'c',
    [SENTENCE_PIECE_USER_DEFINED] = 'u', [SENTENCE_PIECE_UNUSED] = 'o',  [SENTENCE_PIECE_BYTE] = 'b',
};

char sentence_piece_type_letter(enum sentence_piece_type type) {
    return letters[type];
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static enum status read_list(const struct json_path *path, const char *key, struct json_path *list,
                             size_t *count, struct error *e) {
    *list = json_path_member(path, key);
    enum status status = json_path_array(list, count, e);
    if (status == STATUS_OK && *count > VOCABULARY_ID_MAX)
        return json_path_error(list, STATUS_LIMIT, e, "more than %d pieces", VOCABULARY_ID_MAX);
    return status;
}

enum status sentence_piece_read_vocabulary(struct vocabulary *v, const struct json_path *path,
                                           struct error *e) {
    struct json_path list;
    size_t count;
    enum status status = read_list(path, "vocab", &list, &count, e);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        struct json_path item = json_path_element(&list, i);
        size_t length = json_string_length(item.value);
        if (length == 0) return json_path_error(&item, STATUS_MALFORMED, e, "expected the text of a piece");
        if (vocabulary_find(v, json_string_value(item.value), length) >= 0)
            return json_path_error(&item, STATUS_MALFORMED, e, "was there before");
        status = vocabulary_add(v, json_string_value(item.value), length, (int32_t)i, e);
    }
    return status;
}

static enum status read_types(struct sentence_piece *m, const struct json_path *path, struct error *e) {
    const char *text;
    size_t length, unknown = 0, count = m->vocabulary->id_end;
    struct json_path at = json_path_member(path, "types");
    enum status status = json_path_string(path, "types", NULL, &text, &length, e);
    if (status != STATUS_OK) return status;
    if (length != count)
        return json_path_error(&at, STATUS_MALFORMED, e, "%zu letters for %zu pieces", length, count);
    for (size_t id = 0; id < count; id++) {
        const char *found = memchr(letters + 1, text[id], sizeof letters - 1);
        if (!found) return json_path_error(&at, STATUS_MALFORMED, e, "'%c' is not a type", text[id]);
        m->types[id] = (unsigned char)(found - letters);
        if (m->types[id] == SENTENCE_PIECE_UNUSED) m->has_unused = true;
        if (m->types[id] == SENTENCE_PIECE_UNKNOWN) m->unknown_id = (int32_t)id, unknown++;
    }
    if (unknown == 1) return STATUS_OK;
    return json_path_error(&at, STATUS_MALFORMED, e, "%zu pieces are the unknown one, expected 1", unknown);
}

static enum status read_scores(struct sentence_piece *m, const struct json_path *path, struct error *e) {
    struct json_path list;
    size_t count;
    float least = FLT_MAX;
    enum status status = read_list(path, "scores", &list, &count, e);
    if (status != STATUS_OK) return status;
    if (count != m->vocabulary->id_end)
        return json_path_error(&list, STATUS_MALFORMED, e, "%zu scores for %zu pieces", count,
                               m->vocabulary->id_end);
    for (size_t id = 0; id < count; id++) {
        struct json_path item = json_path_element(&list, id);
        double score = json_number_value(item.value);
        if (!json_is_number(item.value) || !(fabs(score) <= FLT_MAX))
            return json_path_error(&item, STATUS_MALFORMED, e, "expected a number of single precision");
        m->scores[id] = (float)score;
        if (m->types[id] == SENTENCE_PIECE_NORMAL) least = fminf(least, m->scores[id]);
    }
    m->unknown_score = least - unknown_penalty;
    return STATUS_OK;
}

static enum status check_bytes(struct sentence_piece *m, const struct json_path *path, struct error *e) {
    byte_tokens_find(m->vocabulary, m->byte_ids);
    for (size_t byte = 0; m->byte_fallback && byte < 256; byte++)
        if (m->byte_ids[byte] < 0 || m->types[m->byte_ids[byte]] != SENTENCE_PIECE_BYTE)
            return json_path_error(path, STATUS_MALFORMED, e, "byte_fallback, but the byte %zu has no piece",
                                   byte);
    return STATUS_OK;
}

static enum status add_keys(struct sentence_piece *m, struct error *e) {
    enum status status = STATUS_OK;
    for (size_t id = 0; status == STATUS_OK && id < m->vocabulary->id_end; id++) {
        size_t length;
        const char *text = vocabulary_content(m->vocabulary, (int32_t)id, &length);
        if (length > m->longest) m->longest = length;
        if (!m->is_bpe && sentence_piece_is_searched(m, (int32_t)id))
            status = trie_add(&m->pieces, text, length, (int32_t)id, e);
        else if (m->is_bpe && m->types[id] == SENTENCE_PIECE_USER_DEFINED)
            status = trie_add(&m->user_defined, text, length, (int32_t)id, e);
    }
    return status;
}

enum status sentence_piece_init(struct sentence_piece *m, const struct vocabulary *v,
                                const struct json_path *path, struct error *e) {
    const char *algorithm;
    *m = (struct sentence_piece){.vocabulary = v};
    struct json_path at = json_path_member(path, "algorithm");
    enum status status = json_path_string(path, "algorithm", NULL, &algorithm, NULL, e);
    if (status == STATUS_OK) status = json_path_bool(path, "byte_fallback", false, &m->byte_fallback, e);
    if (status != STATUS_OK) return status;
    m->is_bpe = strcmp(algorithm, "BPE") == 0;
    if (!m->is_bpe && strcmp(algorithm, "Unigram") != 0)
        return json_path_error(&at, STATUS_UNSUPPORTED, e, "'%s' is not supported", algorithm);
    m->scores = calloc(v->id_end + 1, sizeof *m->scores);
    m->types = calloc(v->id_end + 1, 1);
    if (!m->scores || !m->types) return text_no_memory(e);
    status = read_types(m, path, e);
    if (status == STATUS_OK) status = read_scores(m, path, e);
    if (status == STATUS_OK) status = check_bytes(m, path, e);
    return status == STATUS_OK ? add_keys(m, e) : status;
}

void sentence_piece_deinit(struct sentence_piece *m) {
    free(m->scores);
    free(m->types);
    trie_deinit(&m->pieces);
    trie_deinit(&m->user_defined);
    *m = (struct sentence_piece){0};
}

void sentence_piece_scratch_deinit(struct sentence_piece_scratch *s) {
    free(s->symbols);
    merge_queue_deinit(&s->queue);
    free(s->splits);
    free(s->stack);
    free(s->ends);
    free(s->lengths.ids);
    *s = (struct sentence_piece_scratch){0};
}

/* ---- encoding -------------------------------------------------------------------------------------------- */

enum status sentence_piece_add(struct sentence_piece_output *out, const char *text, size_t length, int32_t id,
                               struct error *e) {
    const struct sentence_piece *m = out->model;
    bool is_unknown = id == m->unknown_id, spelled = false, merged = is_unknown && out->after_unknown;
    out->after_unknown = is_unknown;
    if (is_unknown && m->byte_fallback)
        return byte_tokens_spell(m->byte_ids, text, length, out->ids, &spelled, e);
    return merged || token_list_add(out->ids, id) ? STATUS_OK : text_no_memory(e);
}

enum status sentence_piece_encode(const struct sentence_piece *m, struct sentence_piece_scratch *s,
                                  const char *text, size_t length, struct token_list *out, struct error *e) {
    struct sentence_piece_output output = {.model = m, .ids = out};
    return m->is_bpe ? sentence_piece_encode_bpe(&output, s, text, length, e)
                     : sentence_piece_encode_unigram(&output, s, text, length, e);
}
