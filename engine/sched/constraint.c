#include "engine/sched/constraint.h"

#include <string.h>

#include "engine/base/clock.h"
#include "engine/sched/scheduler_state.h"
#include "engine/sched/sequence_sets.h"

static bool is_ender(const struct terms *terms, int32_t id) {
    for (size_t i = 0; i < terms->ender_count; i++)
        if (terms->enders[i] == id) return true;
    return false;
}

static bool is_empty(const uint32_t *mask, size_t words) {
    for (size_t i = 0; i < words; i++)
        if (mask[i]) return false;
    return true;
}

/* Where the text may end the model's end tokens and the request's stop tokens may come, but for a stop token that is to be in
 * the text: it would spoil it. */
static void allow_enders(const struct engine_request *r, uint32_t *mask, size_t words) {
    size_t count = r->include_stop_text ? r->terms->model_enders : r->terms->ender_count;
    for (size_t i = 0; i < count; i++) {
        int32_t id = r->terms->enders[i];
        if (id >= 0 && (size_t)id / 32 < words) mask[id / 32] |= (uint32_t)1 << id % 32;
    }
}

static const int32_t *generated(const struct sequence *q) {
    return q->tokens + q->request->prompt_count;
}

static size_t mask_words(const struct scheduler *s) {
    return sampler_mask_words(s->options.vocabulary.rows);
}

/* q->mask, which the grammar has written, is the one behind `count` tokens. */
static void keep_mask(const struct scheduler *s, struct sequence *q, size_t count,
                      const struct grammar_outlook *outlook) {
    size_t words = mask_words(s);
    q->mask_count = count;
    q->is_complete = outlook->may_end && is_empty(q->mask, words);
    if (outlook->may_end) allow_enders(q->request, q->mask, words);
}

bool constraint_waits(const struct sequence *q) {
    return q->request->terms->grammar && q->state != SEQUENCE_JOINING && q->mask_count != q->count;
}

void constraint_leave(struct sequence *q) {
    if (!q->request->terms->grammar) return;
    grammar_place_leave(&q->place);
    q->waits_since = q->mask_steps = 0;
}

void constraint_end(struct sequence *q) {
    grammar_place_deinit(&q->place);
}

/* ---- before a turn ------------------------------------------------------------------------------------------- */

/* The next mask of one, or a part of the work; any worker. */
static void make_mask(void *context, size_t tile, size_t worker) {
    struct scheduler *s = context;
    struct sequence *q = s->step.asked[tile];
    struct grammar_steps steps = {.left = q->steps_given};
    struct grammar_outlook outlook;
    uint64_t start_ns = clock_ns();
    (void)worker;
    q->mask_status = STATUS_BUSY;
    if (q->steps_given > 0)
        q->mask_status = grammar_place_read(&q->place, generated(q), sequence_generated(q), &steps, q->mask,
                                            &outlook, NULL);
    q->mask_ns += clock_ns() - start_ns;
    q->mask_steps += steps.used;
    stats_add(&s->stats.mask_steps, steps.used);
    if (q->mask_status == STATUS_OK) keep_mask(s, q, q->count, &outlook);
}

/* Those that want a mask, in the order of rank; returns how many have not waited yet. */
static size_t gather(struct scheduler *s, bool is_second) {
    struct step *step = &s->step;
    size_t fresh = 0;
    step->asked_count = 0;
    for (size_t i = 0; i < s->running_count; i++) {
        struct sequence *q = s->running[i];
        if (!constraint_waits(q) || (is_second && q->asked_in == step->asking)) continue;
        q->asked_in = step->asking;
        q->steps_given = 0;
        q->is_behind = grammar_place_is_behind(&q->place);
        step->asked[step->asked_count++] = q;
        fresh += q->waits_since == 0;
    }
    return fresh;
}

static bool goes_before(const struct sequence *a, const struct sequence *b, bool by_age) {
    size_t had_a = a->mask_steps + a->steps_given, had_b = b->mask_steps + b->steps_given;
    if (by_age || had_a == had_b) return a->waits_since < b->waits_since;
    return had_a < had_b;
}

/* Not to those that could do nothing with them: then whoever they wait for would have none, and none would get on. */
static void give_pieces(struct scheduler *s, size_t steps, bool by_age) {
    struct step *step = &s->step;
    for (; steps >= CONSTRAINT_PIECE_STEPS; steps -= CONSTRAINT_PIECE_STEPS) {
        struct sequence *next = NULL;
        for (size_t i = 0; i < step->asked_count; i++) {
            struct sequence *q = step->asked[i];
            bool may_have = q->waits_since > 0 && !q->is_behind;
            if (may_have && (!next || goes_before(q, next, by_age))) next = q;
        }
        if (next) next->steps_given += CONSTRAINT_PIECE_STEPS;
    }
}

static void give_steps(struct scheduler *s, size_t fresh) {
    struct step *step = &s->step;
    for (size_t i = 0; i < step->asked_count; i++)
        if (step->asked[i]->waits_since == 0)
            step->asked[i]->steps_given = CONSTRAINT_ROW_STEPS + CONSTRAINT_NEW_STEPS / fresh;
    give_pieces(s, CONSTRAINT_WAITING_STEPS / 2, true);
    give_pieces(s, CONSTRAINT_WAITING_STEPS / 2, false);
}

void constraint_explain(enum status status, struct error *e) {
    if (status == STATUS_LIMIT)
        error_set(
            e, status, "structured_outputs",
            "what it needs for one token is more memory, or has more ways to be read, than a grammar may "
            "have");
    else
        error_set(e, status, "structured_outputs", "there is not enough memory for its grammar");
}

/* It has ended with the token before, or with the last that it may have. */
static void settle(struct scheduler *s, struct sequence *q, uint64_t now_ns) {
    struct sequence_progress progress = {
        .text = "", .finished = true, .finish = ENGINE_FINISH_STOP, .stop_string = -1, .stop_token = -1};
    bool ends = q->is_unsettled && (q->is_complete || q->is_at_length);
    if (!q->is_complete) progress.finish = ENGINE_FINISH_LENGTH;
    q->is_unsettled = false;
    q->waits_since = q->mask_steps = 0;
    s->step.goes_on |= ends;
    if (ends) sets_finish(s, q, progress, NULL, now_ns);
}

/* Whoever has its last token needs no mask behind it but to find out whether something could follow. Where that is too much to
 * be found out it has ended by its length: so it has where it was seen at once that the text may not end there. */
static void take_answer(struct scheduler *s, struct sequence *q, uint64_t now_ns) {
    struct error error;
    const bool ends = q->mask_status == STATUS_LIMIT && q->is_unsettled && q->is_at_length;
    if (q->mask_status == STATUS_OK || ends) {
        settle(s, q, now_ns);
    } else if (q->mask_status == STATUS_BUSY) {
        stats_add(&s->stats.mask_waits, 1);
        if (q->waits_since == 0) q->waits_since = ++s->step.wait_order;
        s->step.goes_on = true;
    } else {
        s->step.goes_on = true;
        constraint_explain(q->mask_status, &error);
        sets_fail(s, q, q->mask_status, &error, now_ns);
    }
}

void constraint_make_masks(struct scheduler *s, bool is_second, uint64_t now_ns) {
    struct step *step = &s->step;
    if (!is_second) step->asking++, step->goes_on = false;
    size_t fresh = gather(s, is_second);
    if (step->asked_count == 0) return;
    give_steps(s, fresh);
    step_spread(s, make_mask, step->asked_count);
    for (size_t i = 0; i < step->asked_count; i++) take_answer(s, step->asked[i], now_ns);
}

/* ---- in a step ------------------------------------------------------------------------------------------------- */

/* A draft that ends the text has nothing behind it. */
static bool has_ender(const struct sequence *q, size_t count) {
    for (size_t i = q->count; i < count; i++)
        if (is_ender(q->request->terms, q->tokens[i])) return true;
    return false;
}

static enum status try_mask(const struct scheduler *s, struct sequence *q, size_t count, uint32_t *mask,
                            struct grammar_steps *steps) {
    struct grammar_outlook outlook = {0};
    size_t words = mask_words(s);
    if (has_ender(q, count)) {
        memset(mask, 0, words * sizeof *mask);
        return STATUS_OK;
    }
    enum status status = grammar_place_try(&q->place, generated(q), count - q->request->prompt_count, -1,
                                           steps, mask, &outlook, NULL);
    if (status == STATUS_OK && outlook.may_end) allow_enders(q->request, mask, words);
    return status;
}

enum status constraint_mask(const struct scheduler *s, const struct step_row *row, uint32_t *scratch,
                            const uint32_t **mask, struct grammar_steps *steps) {
    const struct sequence *holder = row->leader ? row->leader->sequence : row->sequence;
    size_t count = row->position + 1;
    *mask = scratch;
    if (holder->mask_count != count) return try_mask(s, row->sequence, count, scratch, steps);
    *mask = holder->mask;
    return STATUS_OK;
}

uint64_t constraint_take_ns(const struct step_row *row) {
    struct sequence *q = row->sequence;
    bool is_first = !row->leader && row->position + 1 == q->count;
    uint64_t ns = is_first ? q->mask_ns : 0;
    if (is_first) q->mask_ns = 0;
    return ns;
}

/* The next mask, while what it is made of is at hand: it does not wait for the next turn. */
static enum status make_next(const struct scheduler *s, struct sequence *q, struct grammar_steps *steps,
                             bool *complete) {
    struct grammar_outlook outlook;
    enum status status = grammar_place_read_on(&q->place, generated(q), sequence_generated(q) + 1, steps,
                                               q->mask, &outlook, NULL);
    q->mask_count = 0;
    if (status != STATUS_OK) return status;
    keep_mask(s, q, q->count + 1, &outlook);
    *complete = q->is_complete;
    return STATUS_OK;
}

enum status constraint_complete(const struct scheduler *s, const struct step_row *row, uint32_t *scratch,
                                bool *complete, struct grammar_steps *steps) {
    struct sequence *q = row->sequence;
    struct grammar_outlook outlook;
    size_t count = row->position + 1 - q->request->prompt_count;
    int32_t more = row->id;
    enum status status = STATUS_BUSY;
    *complete = false;
    if (is_ender(q->request->terms, row->id)) return STATUS_OK;
    if (row->is_last && s->step.fork_count == 0) { /* forks need the mask before it */
        q->tokens[q->count] = row->id;
        status = make_next(s, q, steps, complete);
        if (status != STATUS_BUSY) return status;
        count++;
        more = -1;
    }
    status = grammar_place_try(&q->place, generated(q), count, more, steps, NULL, &outlook, NULL);
    if (status != STATUS_OK || outlook.is_dead || !outlook.may_end) return status;
    status = grammar_place_try(&q->place, generated(q), count, more, steps, scratch, &outlook, NULL);
    *complete = status == STATUS_OK && is_empty(scratch, mask_words(s));
    return status;
}

size_t constraint_fitting_drafts(struct sequence *q, size_t drafts) {
    struct grammar_steps steps = {.left = CONSTRAINT_ROW_STEPS};
    size_t count = 0;
    if (!q->request->terms->grammar) return drafts;
    while (count < drafts && !is_ender(q->request->terms, q->tokens[q->count + count])) count++;
    return grammar_place_fitting(&q->place, q->tokens + q->count, count, &steps);
}
