#include "engine/text/added_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "engine/text/unicode/unicode.h"

static enum status read_flags(struct added_token *token, const struct json_path *path, struct error *e) {
    enum status status = json_path_bool(path, "single_word", false, &token->single_word, e);
    if (status == STATUS_OK) status = json_path_bool(path, "lstrip", false, &token->lstrip, e);
    if (status == STATUS_OK) status = json_path_bool(path, "rstrip", false, &token->rstrip, e);
    if (status == STATUS_OK) status = json_path_bool(path, "special", false, &token->special, e);
    return status == STATUS_OK ? json_path_bool(path, "normalized", !token->special, &token->normalized, e)
                               : status;
}

/* "id" is not what counts (see the header), but what cannot be an id is an error of the file. */
static enum status check_id(const struct json_path *path, struct error *e) {
    int64_t unused;
    return json_path_count(path, "id", 0, VOCABULARY_ID_MAX, &unused, e);
}

static bool same_token(const struct added_token *a, const struct added_token *b) {
    return a->id == b->id && a->single_word == b->single_word && a->lstrip == b->lstrip &&
           a->rstrip == b->rstrip && a->normalized == b->normalized && a->special == b->special;
}

/* The id that a content gets, by the library's rule: that of the model's vocabulary, else the next one behind
 * all. */
static int32_t number_token(const struct added_tokens *a, const struct vocabulary *model, const char *content,
                            size_t length) {
    int32_t id = vocabulary_find(model, content, length);
    if (id >= 0) return id;
    return (int32_t)(a->id_end > model->count ? a->id_end : model->count);
}

/* Tokens of control have signs in them, so that they are no words of any text; one letter is a letter. */
static bool is_plain(const char *content, size_t length, bool special) {
    if (utf8_count(content, length) == 1) special = false;
    for (size_t at = 0; at < length;) {
        int32_t point = utf8_next(content, length, &at);
        bool blank = point == 0x2581 || unicode_is_whitespace(point);
        bool letter = unicode_is_word(point) && !unicode_is_punctuation(point);
        if (!blank && (special || !letter)) return false;
    }
    return true;
}

static enum status add_item(struct added_tokens *a, const struct added_token *token, const char *content,
                            size_t length, struct error *e) {
    size_t id_end = (size_t)token->id + 1;
    if (!array_reserve(&a->items, &a->capacity, a->count + 1) ||
        !array_reserve(&a->indices, &a->index_capacity, id_end))
        return text_no_memory(e);
    while (a->id_end < id_end) a->indices[a->id_end++] = -1;
    a->indices[token->id] = (int32_t)a->count;
    a->items[a->count++] = *token;
    return vocabulary_add(&a->contents, content, length, (int32_t)a->count - 1, e);
}

static enum status read_token(struct added_tokens *a, const struct json_path *path,
                              const struct vocabulary *model, struct error *e) {
    struct added_token token = {0};
    const char *content;
    size_t length;
    enum status status = json_path_object(path, e);
    if (status == STATUS_OK) status = json_path_string(path, "content", NULL, &content, &length, e);
    if (status == STATUS_OK) status = check_id(path, e);
    if (status == STATUS_OK) status = read_flags(&token, path, e);
    if (status != STATUS_OK || length == 0) return status; /* an empty content is never found */
    if (length > ADDED_TOKEN_BYTES_MAX || a->count >= VOCABULARY_ID_MAX - model->id_end)
        return json_path_error(path, STATUS_LIMIT, e, "more than %d bytes, or too many tokens",
                               ADDED_TOKEN_BYTES_MAX);
    token.plain = is_plain(content, length, token.special);
    int32_t twin = vocabulary_find(&a->contents, content, length);
    token.id = twin >= 0 ? a->items[twin].id : number_token(a, model, content, length);
    if (twin >= 0 && same_token(&a->items[twin], &token)) return STATUS_OK;
    if (twin >= 0)
        return json_path_error(path, STATUS_MALFORMED, e, "'%s' was there before, with other flags", content);
    const char *other = added_tokens_content(a, token.id, NULL);
    if (other) return json_path_error(path, STATUS_MALFORMED, e, "'%s' has the id of '%s'", content, other);
    return add_item(a, &token, content, length, e);
}

/* The form in which the content of a token is searched for. */
static enum status add_pattern(struct added_tokens *a, const struct json_path *path, size_t index,
                               const struct normalizer *n, struct regex_run *run, struct error *e) {
    const struct added_token *token = &a->items[index];
    struct text_buffer form = {0};
    size_t length;
    bool starts_there = true;
    const char *content = vocabulary_content(&a->contents, (int32_t)index, &length);
    text_buffer_append(&form, content, length);
    enum status status = text_buffer_status(&form, e);
    if (status == STATUS_OK && token->normalized) status = normalizer_run(n, run, &form, &starts_there, e);
    if (status == STATUS_OK && form.length == 0)
        status =
            json_path_error(path, STATUS_UNSUPPORTED, e, "nothing is left of '%s' once normalized", content);
    if (form.length > a->longest) a->longest = form.length;
    if (token->lstrip || token->rstrip) a->takes_blanks = true;
    if (status == STATUS_OK)
        status = trie_add(token->normalized ? &a->normalized : &a->raw, form.bytes, form.length,
                          (int32_t)index, e);
    text_buffer_deinit(&form);
    return status;
}

/* Of equal forms the first counts, special ones before others; so they are added in the opposite order. */
static enum status add_patterns(struct added_tokens *a, const struct json_path *path,
                                const struct normalizer *n, struct error *e) {
    struct regex_run *run;
    enum status status = regex_run_create(REGEX_STEPS_ENCODING, &run, e);
    if (status != STATUS_OK) return status;
    for (int special = 0; special <= 1; special++)
        for (size_t i = a->count; status == STATUS_OK && i-- > 0;)
            if (a->items[i].special == (special == 1)) status = add_pattern(a, path, i, n, run, e);
    regex_run_destroy(run);
    return status;
}

enum status added_tokens_init(struct added_tokens *a, const struct json_path *path,
                              const struct vocabulary *model, const struct normalizer *n, struct error *e) {
    size_t count;
    *a = (struct added_tokens){0};
    if (!path->value) return STATUS_OK;
    enum status status = json_path_array(path, &count, e);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        struct json_path element = json_path_element(path, i);
        status = read_token(a, &element, model, e);
    }
    return status == STATUS_OK ? add_patterns(a, path, n, e) : status;
}

void added_tokens_deinit(struct added_tokens *a) {
    free(a->items);
    free(a->indices);
    vocabulary_deinit(&a->contents);
    trie_deinit(&a->raw);
    trie_deinit(&a->normalized);
    *a = (struct added_tokens){0};
}

int32_t added_tokens_find(const struct added_tokens *a, const char *content, size_t length) {
    int32_t index = vocabulary_find(&a->contents, content, length);
    return index >= 0 ? a->items[index].id : -1;
}

const char *added_tokens_content(const struct added_tokens *a, int32_t id, size_t *length) {
    if (id < 0 || (size_t)id >= a->id_end || a->indices[id] < 0) return NULL;
    return vocabulary_content(&a->contents, a->indices[id], length);
}

struct cutter {
    const char *text;
    size_t length;
    size_t taken;     /* up to here the text is in pieces */
    size_t blank_end; /* end of the run of blanks seen last, so that none is walked twice */
    size_t blank_start;
};

static bool within_word(const struct cutter *c, size_t start, size_t end) {
    size_t before = start ? utf8_previous(c->text, start) : 0, after = end;
    if (start > 0 && unicode_is_word(utf8_next(c->text, c->length, &before))) return true;
    return end < c->length && unicode_is_word(utf8_next(c->text, c->length, &after));
}

static size_t blanks_before(const struct cutter *c, size_t start) {
    if (start < c->taken) return c->taken;
    while (start > c->taken) {
        size_t before = utf8_previous(c->text, start), at = before;
        if (!unicode_is_whitespace(utf8_next(c->text, c->length, &at))) break;
        start = before;
    }
    return start;
}

static size_t blanks_behind(struct cutter *c, size_t end) {
    if (end >= c->blank_start && end < c->blank_end) return c->blank_end;
    size_t at = end, next = end;
    while (next < c->length && unicode_is_whitespace(utf8_next(c->text, c->length, &next))) at = next;
    c->blank_start = end;
    c->blank_end = at;
    return at;
}

static void take_token(struct cutter *c, const struct added_token *token, size_t start, size_t end,
                       bool first, struct piece_list *out) {
    if (token->lstrip) start = blanks_before(c, start);
    if (token->rstrip) end = blanks_behind(c, end);
    if (start > c->taken)
        piece_list_add(out, c->text + c->taken, start - c->taken, -1, first && c->taken == 0);
    if (start < end) piece_list_add(out, c->text + start, end - start, token->id, first && start == 0);
    c->taken = end > start ? end : start; /* blanks that the token before took leave nothing of this one */
}

bool added_tokens_controls(const struct added_tokens *a, int32_t id) {
    return id >= 0 && (size_t)id < a->id_end && a->indices[id] >= 0 && !a->items[a->indices[id]].plain;
}

/* The longest token at a place that may be found there: its index, or -1. */
static int32_t find_token(const struct added_tokens *a, const struct trie *trie, const struct cutter *c,
                          size_t at, const struct guard *guard, size_t *key) {
    size_t most = c->length - at, touched;
    for (;;) {
        int32_t index = trie_longest(trie, TRIE_ROOT, c->text + at, most, key);
        if (index < 0 || a->items[index].plain || !guard_touches(guard, at, at + *key, &touched))
            return index;
        /* A shorter one may end before what is guarded; where that begins here, only a plain one is left. */
        most = touched > at ? touched - at : *key - 1;
        if (most == 0) return -1;
    }
}

void added_tokens_cut(const struct added_tokens *a, bool normalized, const char *text, size_t length,
                      bool first, const struct guard *guard, struct piece_list *out) {
    const struct trie *trie = normalized ? &a->normalized : &a->raw;
    struct cutter c = {.text = text, .length = length};
    size_t key = 0;
    for (size_t at = 0; at < length && trie->node_count > 0;) {
        int32_t index = find_token(a, trie, &c, at, guard, &key);
        if (index < 0) {
            at++;
            continue;
        }
        const struct added_token *token = &a->items[index];
        if (!token->single_word || !within_word(&c, at, at + key))
            take_token(&c, token, at, at + key, first, out);
        at += key;
    }
    if (c.taken < length) piece_list_add(out, text + c.taken, length - c.taken, -1, first && c.taken == 0);
}
