#include "engine/text/token_model/sentence_piece_parts.h"
#include "engine/text/unicode/unicode.h"

/* A user-defined piece scores more than others ever do, and more the longer it is. (As sentencepiece 0.2.3 has it,
 * found by experiment; versions before had another number, which differs in the rounding of sums alone.) */
static float score_of(const struct sentence_piece *m, int32_t id, size_t length) {
    return m->types[id] == SENTENCE_PIECE_USER_DEFINED ? 0.1f * (float)(length - 1) : m->scores[id];
}

/* The first of equally good ones stays. */
static void offer(struct sentence_piece_end *end, float score, size_t start, int32_t id) {
    if (end->id >= 0 && !(score > end->score)) return;
    *end = (struct sentence_piece_end){score, (uint32_t)start, id};
}

/* Offers all pieces that begin at start; whether one of them is the one character up to next. */
static bool offer_pieces(const struct sentence_piece *m, struct sentence_piece_end *ends, const char *text,
                         size_t length, size_t start, size_t next) {
    bool whole_character = false;
    uint32_t node = TRIE_ROOT;
    for (size_t at = start; at < length && m->pieces.node_count > 0; at++) {
        node = trie_step(&m->pieces, node, (unsigned char)text[at]);
        if (node == TRIE_ROOT) break;
        int32_t id = trie_value(&m->pieces, node);
        if (id < 0 || m->types[id] == SENTENCE_PIECE_UNUSED) continue;
        offer(&ends[at + 1], score_of(m, id, at + 1 - start) + ends[start].score, start, id);
        whole_character = whole_character || at + 1 == next;
    }
    return whole_character;
}

static void find_ends(const struct sentence_piece *m, struct sentence_piece_end *ends, const char *text,
                      size_t length) {
    for (size_t start = 0, next = 0; start < length; start = next) {
        utf8_next(text, length, &next);
        if (!offer_pieces(m, ends, text, length, start, next))
            offer(&ends[next], m->unknown_score + ends[start].score, start, m->unknown_id);
    }
}

enum status sentence_piece_encode_unigram(struct sentence_piece_output *out, struct sentence_piece_scratch *s,
                                          const char *text, size_t length, struct error *e) {
    if (!array_reserve(&s->ends, &s->end_capacity, length + 1)) return text_no_memory(e);
    for (size_t i = 0; i <= length; i++) s->ends[i] = (struct sentence_piece_end){.id = -1};
    find_ends(out->model, s->ends, text, length);
    s->lengths.count = 0;
    for (size_t end = length; end > 0; end = s->ends[end].start)
        if (!token_list_add(&s->lengths, (int32_t)(end - s->ends[end].start))) return text_no_memory(e);
    enum status status = STATUS_OK;
    size_t at = 0;
    for (size_t i = s->lengths.count; i-- > 0 && status == STATUS_OK;) {
        size_t part = (size_t)s->lengths.ids[i];
        status = sentence_piece_add(out, text + at, part, s->ends[at + part].id, e);
        at += part;
    }
    return status;
}
