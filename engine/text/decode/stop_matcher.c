#include "engine/text/decode/stop_matcher.h"

void stop_matcher_init(struct stop_matcher *m, const struct stop_set *set) {
    *m = (struct stop_matcher){.set = set, .state = STOP_SET_START};
}

void stop_matcher_deinit(struct stop_matcher *m) {
    text_buffer_deinit(&m->held);
    *m = (struct stop_matcher){0};
}

static void lend(struct stop_matcher *m, size_t length, const char **text, size_t *text_length) {
    m->given = length;
    *text = length > 0 ? m->held.bytes : "";
    *text_length = length;
}

static int look(struct stop_matcher *m, const char *piece, size_t piece_length, bool counts,
                const char **text, size_t *length) {
    text_buffer_drop_front(&m->held, m->given);
    lend(m, 0, text, length);
    size_t looked_at = m->held.length, found_length;
    text_buffer_append(&m->held, piece, piece_length);
    if (m->held.failed) return STOP_MATCHER_NO_MEMORY;
    while (looked_at < m->held.length) {
        m->state = stop_set_next(m->set, m->state, m->held.bytes[looked_at++]);
        int found = stop_set_found(m->set, m->state);
        if (found >= 0 && !counts) m->state = stop_set_pass(m->set, m->state);
        if (found < 0 || !counts) continue;
        stop_set_string(m->set, (size_t)found, &found_length);
        lend(m, looked_at - found_length, text, length);
        return found;
    }
    lend(m, m->held.length - stop_set_depth(m->set, m->state), text, length);
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
