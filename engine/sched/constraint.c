#include "engine/sched/constraint.h"

#include <string.h>

static bool is_ender(const struct terms *terms, int32_t id) {
    for (size_t i = 0; i < terms->ender_count; i++)
        if (terms->enders[i] == id) return true;
    return false;
}

/* An end token ends the text: no state is behind it. */
static enum status accept(const struct terms *terms, grammar_state from, int32_t token, grammar_state *to,
                          struct error *e) {
    *to = GRAMMAR_DEAD;
    if (from == GRAMMAR_DEAD || is_ender(terms, token)) return STATUS_OK;
    return grammar_accept(terms->grammar, from, token, to, e);
}

enum status constraint_state(const struct sequence *q, size_t count, grammar_state *state, struct error *e) {
    enum status status = STATUS_OK;
    *state = q->grammar_state;
    for (size_t i = q->count; i < count && status == STATUS_OK; i++)
        status = accept(q->request->terms, *state, q->tokens[i], state, e);
    return status;
}

/* A stop token that is to be in the text would spoil it. */
static size_t allowed_enders(const struct engine_request *r) {
    return r->include_stop_text ? r->terms->model_enders : r->terms->ender_count;
}

enum status constraint_mask(const struct sequence *q, grammar_state state, uint32_t *mask, size_t words,
                            struct error *e) {
    const struct terms *terms = q->request->terms;
    if (state == GRAMMAR_DEAD) {
        memset(mask, 0, words * sizeof *mask);
        return STATUS_OK;
    }
    enum status status = grammar_mask(terms->grammar, state, mask, e);
    if (status != STATUS_OK || !grammar_may_end(terms->grammar, state)) return status;
    for (size_t i = 0; i < allowed_enders(q->request); i++) {
        int32_t id = terms->enders[i];
        if (id >= 0 && (size_t)id / 32 < words) mask[id / 32] |= (uint32_t)1 << id % 32;
    }
    return STATUS_OK;
}

static bool is_empty(const uint32_t *mask, size_t words) {
    for (size_t i = 0; i < words; i++)
        if (mask[i]) return false;
    return true;
}

enum status constraint_follow(const struct sequence *q, grammar_state from, int32_t token, uint32_t *mask,
                              size_t words, grammar_state *to, bool *complete, struct error *e) {
    struct grammar *grammar = q->request->terms->grammar;
    *complete = false;
    enum status status = accept(q->request->terms, from, token, to, e);
    if (status != STATUS_OK || *to == GRAMMAR_DEAD || !grammar_may_end(grammar, *to)) return status;
    status = grammar_mask(grammar, *to, mask, e);
    *complete = status == STATUS_OK && is_empty(mask, words);
    return status;
}

size_t constraint_fitting_drafts(const struct sequence *q, size_t drafts) {
    grammar_state state = q->grammar_state;
    if (!q->request->terms->grammar) return drafts;
    for (size_t i = 0; i < drafts; i++)
        if (accept(q->request->terms, state, q->tokens[q->count + i], &state, NULL) != STATUS_OK ||
            state == GRAMMAR_DEAD)
            return i;
    return drafts;
}
