#include "engine/text/token_model/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "engine/text/unicode/unicode.h"

#define NO_PAIR UINT64_MAX

struct bpe_merge {
    uint64_t pair; /* left id << 32 | right id, or NO_PAIR */
    uint32_t rank;
    int32_t id; /* of what the pair becomes */
};

/* Neighbours by index; -1: none. */
struct bpe_symbol {
    int32_t id; /* -1: joined into the one before */
    int32_t previous, next;
};

static uint64_t pair_of(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static struct bpe_merge *find_merge(const struct bpe *b, uint64_t pair) {
    size_t mask = b->merge_capacity - 1;
    uint64_t hash = pair * 0x9E3779B97F4A7C15u;
    size_t at = (hash ^ hash >> 32) & mask;
    while (b->merges[at].pair != pair && b->merges[at].pair != NO_PAIR) at = (at + 1) & mask;
    return &b->merges[at];
}

static enum status reserve_merges(struct bpe *b, size_t count, struct error *e) {
    size_t capacity = 16;
    while (capacity < 2 * count) capacity *= 2;
    b->merges = malloc(capacity * sizeof *b->merges);
    if (!b->merges) return text_no_memory(e);
    for (size_t i = 0; i < capacity; i++) b->merges[i].pair = NO_PAIR;
    b->merge_capacity = capacity;
    return STATUS_OK;
}

struct merge_text {
    const char *left, *right;
    size_t left_length, right_length;
};

/* "left right", or ["left", "right"] since blanks may be part of tokens. */
static enum status read_merge_text(const struct json_path *path, struct merge_text *m, struct error *e) {
    const json_t *left = json_array_get(path->value, 0), *right = json_array_get(path->value, 1);
    if (json_is_string(path->value)) {
        const char *text = json_string_value(path->value);
        size_t length = json_string_length(path->value);
        const char *blank = memchr(text, ' ', length);
        if (blank && !memchr(blank + 1, ' ', length - (size_t)(blank + 1 - text))) {
            *m = (struct merge_text){text, blank + 1, (size_t)(blank - text),
                                     length - (size_t)(blank + 1 - text)};
            return STATUS_OK;
        }
    } else if (json_array_size(path->value) == 2 && json_is_string(left) && json_is_string(right)) {
        *m = (struct merge_text){json_string_value(left), json_string_value(right), json_string_length(left),
                                 json_string_length(right)};
        return STATUS_OK;
    }
    return json_path_error(path, STATUS_MALFORMED, e, "expected \"left right\" or [\"left\", \"right\"]");
}

static enum status need_token(const struct bpe *b, const struct json_path *path, const char *content,
                              size_t length, int32_t *id, struct error *e) {
    *id = vocabulary_find(b->vocabulary, content, length);
    if (*id >= 0) return STATUS_OK;
    return json_path_error(path, STATUS_MALFORMED, e, "'%.*s' is not in the vocabulary",
                           (int)(length < 64 ? length : 64), content);
}

/* The first line of a merges.txt that became a list; the library skips it wherever it stands. */
static bool is_version_line(const json_t *value) {
    return json_is_string(value) && strncmp(json_string_value(value), "#version", 8) == 0;
}

/* The right part loses its continuing_subword_prefix when it is joined. */
static enum status read_merge(struct bpe *b, const struct json_path *path, uint32_t rank, struct error *e) {
    struct merge_text m = {0};
    int32_t left, right, joined;
    if (is_version_line(path->value)) return STATUS_OK;
    enum status status = read_merge_text(path, &m, e);
    if (status == STATUS_OK) status = need_token(b, path, m.left, m.left_length, &left, e);
    if (status == STATUS_OK) status = need_token(b, path, m.right, m.right_length, &right, e);
    if (status != STATUS_OK) return status;
    if (m.right_length < b->prefix.length)
        return json_path_error(path, STATUS_MALFORMED, e,
                               "the right part is shorter than continuing_subword_prefix");
    struct text_buffer both = {0};
    text_buffer_append(&both, m.left, m.left_length);
    text_buffer_append(&both, m.right + b->prefix.length, m.right_length - b->prefix.length);
    status = text_buffer_status(&both, e);
    if (status == STATUS_OK)
        status = need_token(b, path, both.bytes ? both.bytes : "", both.length, &joined, e);
    text_buffer_deinit(&both);
    if (status == STATUS_OK)
        *find_merge(b, pair_of(left, right)) = (struct bpe_merge){pair_of(left, right), rank, joined};
    return status;
}

static enum status read_merges(struct bpe *b, const struct json_path *model, struct error *e) {
    struct json_path list = json_path_member(model, "merges");
    size_t count;
    enum status status = json_path_array(&list, &count, e);
    if (status == STATUS_OK) status = reserve_merges(b, count, e);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        struct json_path path = json_path_element(&list, i);
        status = read_merge(b, &path, (uint32_t)i, e);
    }
    return status;
}

static enum status read_affix(struct text_buffer *affix, const struct json_path *model, const char *key,
                              struct error *e) {
    const char *text;
    size_t length;
    enum status status = json_path_string(model, key, "", &text, &length, e);
    if (status != STATUS_OK) return status;
    text_buffer_append(affix, text, length);
    return text_buffer_status(affix, e);
}

enum status bpe_init(struct bpe *b, const struct vocabulary *v, const struct json_path *path,
                     struct error *e) {
    *b = (struct bpe){.vocabulary = v};
    enum status status = unknown_read(&b->unknown, path, NULL, v, e);
    if (status == STATUS_OK) status = read_affix(&b->prefix, path, "continuing_subword_prefix", e);
    if (status == STATUS_OK) status = read_affix(&b->suffix, path, "end_of_word_suffix", e);
    if (status == STATUS_OK) status = json_path_bool(path, "fuse_unk", false, &b->fuse_unknown, e);
    if (status == STATUS_OK) status = json_path_bool(path, "byte_fallback", false, &b->byte_fallback, e);
    if (status == STATUS_OK) status = json_path_bool(path, "ignore_merges", false, &b->ignore_merges, e);
    if (status != STATUS_OK) return status;
    byte_tokens_find(v, b->byte_ids);
    return read_merges(b, path, e);
}

void bpe_deinit(struct bpe *b) {
    unknown_deinit(&b->unknown);
    text_buffer_deinit(&b->prefix);
    text_buffer_deinit(&b->suffix);
    free(b->merges);
    *b = (struct bpe){0};
}

void bpe_scratch_deinit(struct bpe_scratch *s) {
    free(s->letters.ids);
    free(s->symbols);
    merge_queue_deinit(&s->queue);
    text_buffer_deinit(&s->letter);
    *s = (struct bpe_scratch){0};
}

/* The id of one character of a word, with the affixes that its place in the word asks for. */
static int32_t find_letter(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t length,
                           bool is_first, bool is_last) {
    bool prefixed = !is_first && b->prefix.length > 0, suffixed = is_last && b->suffix.length > 0;
    text_buffer_clear(&s->letter);
    if (prefixed) text_buffer_append(&s->letter, b->prefix.bytes, b->prefix.length);
    text_buffer_append(&s->letter, text, length);
    if (suffixed) text_buffer_append(&s->letter, b->suffix.bytes, b->suffix.length);
    return s->letter.failed ? -1 : vocabulary_find(b->vocabulary, s->letter.bytes, s->letter.length);
}

/* An unknown token waits until the next letter that is known, so that several can fuse; bytes that spell a
 * character overtake it, as they do in the library. */
static enum status add_unknown(const struct bpe *b, struct bpe_scratch *s, bool *waiting, struct error *e) {
    bool spelled;
    if (b->byte_fallback) {
        enum status status =
            byte_tokens_spell(b->byte_ids, s->letter.bytes, s->letter.length, &s->letters, &spelled, e);
        if (status != STATUS_OK || spelled) return status;
    }
    if (!b->unknown.content) return STATUS_OK; /* without a token for it, it is left out */
    if (b->unknown.id < 0) return unknown_error(&b->unknown, e);
    if (*waiting && !b->fuse_unknown && !token_list_add(&s->letters, b->unknown.id)) return text_no_memory(e);
    *waiting = true;
    return STATUS_OK;
}

static enum status read_letters(const struct bpe *b, struct bpe_scratch *s, const char *word, size_t length,
                                struct error *e) {
    bool waiting = false;
    s->letters.count = 0;
    for (size_t at = 0, start = 0; at < length; start = at) {
        utf8_next(word, length, &at);
        int32_t id = find_letter(b, s, word + start, at - start, start == 0, at == length);
        enum status status = text_buffer_status(&s->letter, e);
        if (status == STATUS_OK && id < 0) status = add_unknown(b, s, &waiting, e);
        if (status != STATUS_OK) return status;
        if (id < 0) continue;
        if (waiting && !token_list_add(&s->letters, b->unknown.id)) return text_no_memory(e);
        waiting = false;
        if (!token_list_add(&s->letters, id)) return text_no_memory(e);
    }
    return !waiting || token_list_add(&s->letters, b->unknown.id) ? STATUS_OK : text_no_memory(e);
}

static enum status reserve_scratch(struct bpe_scratch *s, size_t count, struct error *e) {
    if (array_reserve(&s->symbols, &s->symbol_capacity, count) && merge_queue_begin(&s->queue, count))
        return STATUS_OK;
    return text_no_memory(e);
}

static const struct bpe_merge *merge_at(const struct bpe *b, const struct bpe_scratch *s, int32_t left) {
    if (left < 0 || s->symbols[left].next < 0) return NULL;
    const struct bpe_merge *merge =
        find_merge(b, pair_of(s->symbols[left].id, s->symbols[s->symbols[left].next].id));
    return merge->pair == NO_PAIR ? NULL : merge;
}

/* In the order of the merges' ranks, then of the places of the left symbols. */
static void propose(const struct bpe *b, struct bpe_scratch *s, int32_t left) {
    const struct bpe_merge *merge = merge_at(b, s, left);
    if (!merge) return;
    merge_queue_push(&s->queue, (struct merge_candidate){(uint64_t)merge->rank << 32 | (uint32_t)left,
                                                         (uint32_t)merge->id});
}

static void join(struct bpe_scratch *s, int32_t left, int32_t id) {
    struct bpe_symbol *symbols = s->symbols;
    int32_t right = symbols[left].next;
    symbols[left].id = id;
    symbols[left].next = symbols[right].next;
    if (symbols[right].next >= 0) symbols[symbols[right].next].previous = left;
    symbols[right].id = -1;
}

static void merge_symbols(const struct bpe *b, struct bpe_scratch *s) {
    int32_t count = (int32_t)s->letters.count;
    for (int32_t i = 0; i < count; i++)
        s->symbols[i] = (struct bpe_symbol){s->letters.ids[i], i - 1, i + 1 < count ? i + 1 : -1};
    for (int32_t i = 0; i < count; i++) propose(b, s, i);
    while (s->queue.count > 0) {
        struct merge_candidate top = merge_queue_pop(&s->queue);
        int32_t left = (int32_t)(uint32_t)top.order;
        if (s->symbols[left].id < 0) continue;
        const struct bpe_merge *merge =
            merge_at(b, s, left); /* the pair may have changed since it was proposed */
        if (!merge || merge->id != (int32_t)top.value) continue;
        join(s, left, merge->id);
        propose(b, s, s->symbols[left].previous);
        propose(b, s, left);
    }
}

enum status bpe_encode(const struct bpe *b, struct bpe_scratch *s, const char *word, size_t length,
                       struct token_list *out, struct error *e) {
    int32_t whole = b->ignore_merges ? vocabulary_find(b->vocabulary, word, length) : -1;
    if (whole >= 0) return token_list_add(out, whole) ? STATUS_OK : text_no_memory(e);
    enum status status = read_letters(b, s, word, length, e);
    if (status == STATUS_OK) status = reserve_scratch(s, s->letters.count, e);
    if (status != STATUS_OK) return status;
    merge_symbols(b, s);
    for (size_t i = 0; i < s->letters.count; i++)
        if (s->symbols[i].id >= 0 && !token_list_add(out, s->symbols[i].id)) return text_no_memory(e);
    return STATUS_OK;
}
