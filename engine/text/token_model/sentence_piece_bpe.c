#include <string.h>

#include "engine/text/token_model/sentence_piece_parts.h"
#include "engine/text/unicode/unicode.h"

struct merging {
    const struct sentence_piece *model;
    struct sentence_piece_scratch *scratch;
    const char *text;
};

/* Greater numbers for smaller scores. */
static uint32_t order_of_score(float score) {
    uint32_t bits;
    score += 0.0f; /* -0 is 0 */
    memcpy(&bits, &score, sizeof bits);
    return bits & 1u << 31 ? bits : ~bits & ~(1u << 31);
}

/* The piece that two neighbours become, or -1. */
static int32_t find_joined(const struct merging *m, int32_t left, int32_t right) {
    const struct sentence_piece_symbol *symbols = m->scratch->symbols;
    if (left < 0 || right < 0 || symbols[left].fixed || symbols[right].fixed) return -1;
    size_t length = (size_t)symbols[left].length + symbols[right].length;
    if (length > m->model->longest) return -1;
    int32_t id = vocabulary_find(m->model->vocabulary, m->text + symbols[left].start, length);
    return id >= 0 && sentence_piece_is_searched(m->model, id) ? id : -1;
}

/* value: the length of what is joined, by which it is known later whether both are still what they were. */
static void propose(const struct merging *m, int32_t left, int32_t right) {
    const struct sentence_piece_symbol *symbols = m->scratch->symbols;
    int32_t id = find_joined(m, left, right);
    if (id < 0) return;
    uint64_t order = (uint64_t)order_of_score(m->model->scores[id]) << 32 | (uint32_t)left;
    merge_queue_push(&m->scratch->queue,
                     (struct merge_candidate){order, symbols[left].length + symbols[right].length});
    if (m->model->types[id] == SENTENCE_PIECE_UNUSED) m->scratch->splits[id] = symbols[left].length;
}

/* Characters, and user-defined pieces. */
static void cut(const struct merging *m, size_t length) {
    struct sentence_piece_scratch *s = m->scratch;
    size_t count = 0;
    for (size_t at = 0, next = 0, key; at < length; at = next, count++) {
        bool fixed = m->model->user_defined.node_count > 0 &&
                     trie_longest(&m->model->user_defined, TRIE_ROOT, m->text + at, length - at, &key) >= 0;
        if (fixed)
            next = at + key;
        else
            utf8_next(m->text, length, &next);
        s->symbols[count] = (struct sentence_piece_symbol){
            .previous = (int32_t)count - 1,
            .next = next < length ? (int32_t)count + 1 : -1,
            .start = (uint32_t)at,
            .length = (uint32_t)(next - at) & INT32_MAX,
            .fixed = fixed,
        };
    }
    s->symbol_count = count;
}

static void merge(const struct merging *m) {
    struct sentence_piece_symbol *symbols = m->scratch->symbols;
    for (size_t i = 1; i < m->scratch->symbol_count; i++) propose(m, (int32_t)i - 1, (int32_t)i);
    while (m->scratch->queue.count > 0) {
        struct merge_candidate top = merge_queue_pop(&m->scratch->queue);
        int32_t left = (int32_t)(uint32_t)top.order, right = symbols[left].next;
        if (symbols[left].length == 0 || right < 0) continue;
        if ((uint32_t)symbols[left].length + symbols[right].length != top.value) continue;
        symbols[left].length = top.value & INT32_MAX;
        symbols[left].next = symbols[right].next;
        if (symbols[right].next >= 0) symbols[symbols[right].next].previous = left;
        symbols[right].length = 0;
        propose(m, symbols[left].previous, left);
        propose(m, left, symbols[left].next);
    }
}

/* Adds a symbol; an unused piece is taken apart into what it was joined from, and those again. */
static enum status add_symbol(const struct merging *m, struct sentence_piece_output *out,
                              struct sentence_piece_span span, struct error *e) {
    struct sentence_piece_scratch *s = m->scratch;
    enum status status = STATUS_OK;
    size_t depth = 0;
    if (!array_reserve(&s->stack, &s->stack_capacity, 1)) return text_no_memory(e);
    s->stack[depth++] = span;
    while (depth > 0 && status == STATUS_OK) {
        span = s->stack[--depth];
        int32_t id = vocabulary_find(m->model->vocabulary, m->text + span.start, span.length);
        uint32_t left = id >= 0 && m->model->types[id] == SENTENCE_PIECE_UNUSED ? s->splits[id] : 0;
        if (left == 0) {
            status = sentence_piece_add(out, m->text + span.start, span.length,
                                        id >= 0 ? id : m->model->unknown_id, e);
            continue;
        }
        if (!array_reserve(&s->stack, &s->stack_capacity, depth + 2)) return text_no_memory(e);
        s->stack[depth++] = (struct sentence_piece_span){span.start + left, span.length - left};
        s->stack[depth++] = (struct sentence_piece_span){span.start, left};
    }
    return status;
}

static enum status reserve(const struct merging *m, size_t length, struct error *e) {
    struct sentence_piece_scratch *s = m->scratch;
    size_t characters = utf8_count(m->text, length), ids = m->model->vocabulary->id_end;
    bool reserved = array_reserve(&s->symbols, &s->symbol_capacity, characters) &&
                    merge_queue_begin(&s->queue, characters);
    if (reserved && m->model->has_unused && s->split_capacity < ids) {
        reserved = array_reserve(&s->splits, &s->split_capacity, ids);
        if (reserved) memset(s->splits, 0, s->split_capacity * sizeof *s->splits);
    }
    return reserved ? STATUS_OK : text_no_memory(e);
}

enum status sentence_piece_encode_bpe(struct sentence_piece_output *out, struct sentence_piece_scratch *s,
                                      const char *text, size_t length, struct error *e) {
    const struct merging m = {.model = out->model, .scratch = s, .text = text};
    enum status status = reserve(&m, length, e);
    if (status != STATUS_OK) return status;
    cut(&m, length);
    merge(&m);
    for (int32_t at = 0; at >= 0 && status == STATUS_OK; at = s->symbols[at].next)
        status =
            add_symbol(&m, out, (struct sentence_piece_span){s->symbols[at].start, s->symbols[at].length}, e);
    return status;
}
