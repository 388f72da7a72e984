#include "engine/text/stop_matcher.h"

#include <stdlib.h>
#include <string.h>

#include "engine/text/text_buffer.h"

/* One stop string with the automaton of Knuth, Morris and Pratt. */
struct pattern {
    char *bytes;
    size_t length;
    size_t *fallback; /* [length]: length of the longest proper border of bytes[0..i] */
    size_t matched;   /* how much of it the text so far ends with */
};

struct stop_matcher {
    struct pattern *patterns;
    size_t count;
    struct text_buffer held; /* text that may be the start of a stop string, then what is being looked at */
    size_t given;            /* bytes of held that the last call gave out */
};

static bool init_pattern(struct pattern *p, const char *bytes, size_t length) {
    p->length = length;
    p->bytes = malloc(length);
    p->fallback = calloc(length, sizeof *p->fallback);
    if (!p->bytes || !p->fallback) return false;
    memcpy(p->bytes, bytes, length);
    for (size_t i = 1, border = 0; i < length; i++) {
        while (border > 0 && bytes[i] != bytes[border]) border = p->fallback[border - 1];
        border += bytes[i] == bytes[border];
        p->fallback[i] = border;
    }
    return true;
}

enum status stop_matcher_create(const char *const *strings, const size_t *lengths, size_t count,
                                struct stop_matcher **out, struct error *e) {
    struct stop_matcher *m = calloc(1, sizeof *m);
    if (!m) return text_no_memory(e);
    m->patterns = calloc(count, sizeof *m->patterns);
    bool made = m->patterns || count == 0;
    for (size_t i = 0; made && i < count; i++) {
        m->count = i + 1;
        made = init_pattern(&m->patterns[i], strings[i], lengths[i]);
    }
    if (!made) {
        stop_matcher_destroy(m);
        return text_no_memory(e);
    }
    *out = m;
    return STATUS_OK;
}

void stop_matcher_destroy(struct stop_matcher *m) {
    if (!m) return;
    for (size_t i = 0; i < m->count; i++) {
        free(m->patterns[i].bytes);
        free(m->patterns[i].fallback);
    }
    free(m->patterns);
    text_buffer_deinit(&m->held);
    free(m);
}

static void advance(struct pattern *p, char byte) {
    if (p->matched == p->length) p->matched = p->fallback[p->matched - 1];
    while (p->matched > 0 && p->bytes[p->matched] != byte) p->matched = p->fallback[p->matched - 1];
    p->matched += p->bytes[p->matched] == byte;
}

/* One byte more: the longest string that ends with it, the first of equal ones, or -1. */
static int step(struct stop_matcher *m, char byte) {
    int found = -1;
    for (size_t i = 0; i < m->count; i++) {
        struct pattern *p = &m->patterns[i];
        advance(p, byte);
        if (p->matched == p->length && (found < 0 || p->length > m->patterns[found].length)) found = (int)i;
    }
    return found;
}

static size_t longest_start(const struct stop_matcher *m) {
    size_t longest = 0;
    for (size_t i = 0; i < m->count; i++)
        if (m->patterns[i].matched > longest) longest = m->patterns[i].matched;
    return longest;
}

static void lend(struct stop_matcher *m, size_t length, const char **text, size_t *text_length) {
    m->given = length;
    *text = length > 0 ? m->held.bytes : "";
    *text_length = length;
}

/* A string that was passed over may still be the start of another, but is no match any more. */
static void pass_over(struct stop_matcher *m) {
    for (size_t i = 0; i < m->count; i++) {
        struct pattern *p = &m->patterns[i];
        if (p->matched == p->length) p->matched = p->fallback[p->matched - 1];
    }
}

static int look(struct stop_matcher *m, const char *piece, size_t piece_length, bool counts,
                const char **text, size_t *length) {
    text_buffer_drop_front(&m->held, m->given);
    lend(m, 0, text, length);
    size_t looked_at = m->held.length;
    text_buffer_append(&m->held, piece, piece_length);
    if (m->held.failed) return STOP_MATCHER_NO_MEMORY;
    while (looked_at < m->held.length) {
        int found = step(m, m->held.bytes[looked_at++]);
        if (found >= 0 && !counts) pass_over(m);
        if (found < 0 || !counts) continue;
        lend(m, looked_at - m->patterns[found].length, text, length);
        return found;
    }
    lend(m, m->held.length - longest_start(m), text, length);
    return -1;
}

int stop_matcher_push(struct stop_matcher *m, const char *piece, size_t piece_length, const char **text,
                      size_t *length) {
    return look(m, piece, piece_length, true, text, length);
}

int stop_matcher_pass(struct stop_matcher *m, const char *piece, size_t piece_length, const char **text,
                      size_t *length) {
    return look(m, piece, piece_length, false, text, length);
}

void stop_matcher_finish(struct stop_matcher *m, const char **text, size_t *length) {
    text_buffer_drop_front(&m->held, m->given);
    lend(m, m->held.length, text, length);
}
