#include "engine/text/token_model/unigram.h"

#include <math.h>
#include <stdlib.h>

#include "engine/text/unicode/unicode.h"

/* How much worse than the worst token an unknown character is. */
static const double unknown_penalty = 10.0;

/* The best way to cut the word up to a place: its last token and its score. */
struct unigram_end {
    double score;
    size_t start; /* of the last token */
    size_t end;   /* 0: no way leads here yet */
    int32_t id;
};

static enum status read_list(const struct json_path *path, struct json_path *list, size_t *count,
                             struct error *e) {
    *list = json_path_member(path, "vocab");
    enum status status = json_path_array(list, count, e);
    if (status != STATUS_OK) return status;
    if (*count > VOCABULARY_ID_MAX)
        return json_path_error(list, STATUS_LIMIT, e, "more than %d tokens", VOCABULARY_ID_MAX);
    return STATUS_OK;
}

enum status unigram_read_vocabulary(struct vocabulary *v, const struct json_path *path, struct error *e) {
    struct json_path list;
    size_t count;
    enum status status = read_list(path, &list, &count, e);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        struct json_path row = json_path_element(&list, i);
        const json_t *content = json_array_get(row.value, 0);
        if (json_array_size(row.value) != 2 || !json_is_string(content) ||
            !json_is_number(json_array_get(row.value, 1)))
            return json_path_error(&row, STATUS_MALFORMED, e, "expected [\"content\", score]");
        status = vocabulary_add(v, json_string_value(content), json_string_length(content), (int32_t)i, e);
    }
    return status;
}

static enum status read_scores(struct unigram *u, const struct json_path *path, struct error *e) {
    struct json_path list;
    size_t count;
    enum status status = read_list(path, &list, &count, e);
    if (status != STATUS_OK) return status;
    u->scores = calloc(count + 1, sizeof *u->scores);
    if (!u->scores) return text_no_memory(e);
    double least = INFINITY;
    for (size_t id = 0; status == STATUS_OK && id < count; id++) {
        size_t length;
        const char *content = vocabulary_content(u->vocabulary, (int32_t)id, &length);
        u->scores[id] = json_number_value(json_array_get(json_array_get(list.value, id), 1));
        least = fmin(least, u->scores[id]);
        if (length > 0) status = trie_add(&u->tokens, content, length, (int32_t)id, e);
    }
    u->unknown_score = least - unknown_penalty;
    return status;
}

static enum status read_unknown_id(struct unigram *u, const struct json_path *path, struct error *e) {
    int64_t id;
    enum status status = json_path_count(path, "unk_id", -1, VOCABULARY_ID_MAX, &id, e);
    if (status != STATUS_OK) return status;
    u->unknown_id = (int32_t)id;
    struct json_path at = json_path_member(path, "unk_id");
    if (id >= 0 && !vocabulary_content(u->vocabulary, u->unknown_id, NULL))
        return json_path_error(&at, STATUS_MALFORMED, e, "%lld is not in the vocabulary", (long long)id);
    return STATUS_OK;
}

enum status unigram_init(struct unigram *u, const struct vocabulary *v, const struct json_path *path,
                         struct error *e) {
    *u = (struct unigram){.vocabulary = v};
    byte_tokens_find(v, u->byte_ids);
    enum status status = json_path_bool(path, "byte_fallback", false, &u->byte_fallback, e);
    if (status == STATUS_OK) status = read_unknown_id(u, path, e);
    return status == STATUS_OK ? read_scores(u, path, e) : status;
}

void unigram_deinit(struct unigram *u) {
    trie_deinit(&u->tokens);
    free(u->scores);
    *u = (struct unigram){0};
}

void unigram_scratch_deinit(struct unigram_scratch *s) {
    free(s->ends);
    free(s->path);
    *s = (struct unigram_scratch){0};
}

/* Whether a way is the best to its end so far; the first of equally good ones stays. */
static bool is_better(const struct unigram_end *ends, size_t end, double score) {
    return ends[end].end == 0 || score > ends[end].score;
}

/* Offers all tokens that begin at start; false if none of them is the one character up to next. */
static bool offer_tokens(const struct unigram *u, struct unigram_end *ends, const char *word, size_t length,
                         size_t start, size_t next) {
    bool whole_character = false;
    uint32_t node = TRIE_ROOT;
    for (size_t at = start; at < length; at++) {
        node = trie_step(&u->tokens, node, (unsigned char)word[at]);
        if (node == TRIE_ROOT) break;
        int32_t id = trie_value(&u->tokens, node);
        if (id < 0) continue;
        double score = ends[start].score + u->scores[id];
        if (is_better(ends, at + 1, score)) ends[at + 1] = (struct unigram_end){score, start, at + 1, id};
        whole_character = whole_character || at + 1 == next;
    }
    return whole_character;
}

static enum status find_ends(const struct unigram *u, struct unigram_end *ends, const char *word,
                             size_t length, struct error *e) {
    for (size_t start = 0, next = 0; start < length; start = next) {
        utf8_next(word, length, &next);
        if (offer_tokens(u, ends, word, length, start, next)) continue;
        double score = ends[start].score + u->unknown_score;
        if (!is_better(ends, next, score)) continue;
        if (u->unknown_id < 0)
            return error_set(e, STATUS_INVALID_ARGUMENT, "tokenizer",
                             "the text has something that the vocabulary lacks, and no unk_id is named");
        ends[next] = (struct unigram_end){score, start, next, u->unknown_id};
    }
    return STATUS_OK;
}

/* A token of the path, or a run of unknown characters. */
static enum status add_run(const struct unigram *u, const char *text, size_t length, struct token_list *out,
                           struct error *e) {
    int32_t id = vocabulary_find(u->vocabulary, text, length);
    bool spelled = false;
    if (id < 0 && u->byte_fallback) {
        enum status status = byte_tokens_spell(u->byte_ids, text, length, out, &spelled, e);
        if (status != STATUS_OK) return status;
    }
    if (spelled) return STATUS_OK;
    return token_list_add(out, id >= 0 ? id : u->unknown_id) ? STATUS_OK : text_no_memory(e);
}

/* Walks the best way back from its end and turns it round. */
static size_t find_path(struct unigram_scratch *s, size_t length) {
    size_t count = 0;
    for (size_t end = length; end > 0; end = s->ends[end].start) s->path[count++] = s->ends[end];
    for (size_t i = 0; i < count / 2; i++) {
        struct unigram_end kept = s->path[i];
        s->path[i] = s->path[count - 1 - i];
        s->path[count - 1 - i] = kept;
    }
    return count;
}

enum status unigram_encode(const struct unigram *u, struct unigram_scratch *s, const char *word,
                           size_t length, struct token_list *out, struct error *e) {
    if (!array_reserve(&s->ends, &s->end_capacity, length + 1) ||
        !array_reserve(&s->path, &s->path_capacity, length))
        return text_no_memory(e);
    for (size_t i = 0; i <= length; i++) s->ends[i] = (struct unigram_end){0};
    enum status status = find_ends(u, s->ends, word, length, e);
    size_t count = status == STATUS_OK ? find_path(s, length) : 0;
    for (size_t i = 0, last; i < count && status == STATUS_OK; i = last) {
        for (last = i + 1;
             last < count && s->path[i].id == u->unknown_id && s->path[last].id == u->unknown_id;)
            last++;
        size_t start = s->path[i].start;
        status = add_run(u, word + start, s->path[last - 1].end - start, out, e);
    }
    return status;
}
