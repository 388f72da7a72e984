#include "engine/sched/drafts.h"

#include <assert.h>
#include <string.h>

#include "engine/sched/constraint.h"
#include "engine/sched/forced_drafts.h"
#include "engine/sched/scheduler_state.h"

/* Then one step without, so that what that costs is known. */
#define DRAFT_STEPS_MAX 64

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* ---- what may be tried --------------------------------------------------------------------------------- */

static struct follower_text said_by(const struct sequence *q) {
    return (struct follower_text){q->tokens, q->count};
}

static struct follower_text prediction_of(const struct sequence *q) {
    const struct terms *terms = q->request->terms;
    return (struct follower_text){terms->prediction, terms->prediction_count};
}

/* So many that each still has room for its event, and the last of all for the token that is sampled behind it. */
static size_t most_drafts(const struct sequence *q, const struct batch_sequence *needs) {
    size_t tokens = q->request->max_tokens - sequence_generated(q);
    return smaller(smaller(tokens, needs->room) - 1, DRAFT_TOKENS_MAX);
}

/* Whether another offer goes before one, since it is as likely. */
static bool is_better(const struct draft_offer *other, const struct draft_offer *offer) {
    return other->count > 0 && (offer->count == 0 || other->chances[0] >= offer->chances[0]);
}

/* The prediction goes before what was said, and what a grammar forces before both, where it is as likely. */
static void make_offer(const struct scheduler *s, struct sequence *q, size_t most, int32_t *forced,
                       struct draft_offer *offer) {
    struct follower_text said = said_by(q), prediction = prediction_of(q);
    struct draft_offer predicted, certain;
    offer->count = follower_chances(&q->own, &said, most, offer->chances);
    predicted.count = follower_chances(&q->prediction, &prediction, most, predicted.chances);
    forced_drafts_offer(s, q, most, forced, &certain);
    q->draft_source = DRAFT_SOURCE_OWN;
    if (is_better(&predicted, offer)) q->draft_source = DRAFT_SOURCE_PREDICTION, *offer = predicted;
    if (is_better(&certain, offer)) q->draft_source = DRAFT_SOURCE_GRAMMAR, *offer = certain;
}

static void describe(struct scheduler *s, size_t place, size_t at) {
    struct drafting *d = &s->drafting;
    struct sequence *q = s->running[place];
    d->running[at] = place;
    d->most[at] = most_drafts(q, &s->needs[place]);
    make_offer(s, q, d->most[at], d->forced[at], &d->offers[at]);
    if (s->options.self_drafts.step) self_drafts_offer(s, q, d->most[at], &s->self_drafting.offers[at]);
}

/* false: somebody computes a prompt, or there are too many. Who only waits, for a mask or for who computes its prompt, has no
 * part in the step. */
static bool make_offers(struct scheduler *s, size_t *count) {
    *count = 0;
    for (size_t i = 0; i < s->running_count; i++) {
        if (s->needs[i].joining) continue;
        if (!s->needs[i].decoding) return false;
        if (s->shares[i].rows == 0) continue;
        if (*count == STEP_COST_ROWS_MAX) return false;
        describe(s, i, (*count)++);
    }
    return true;
}

/* ---- what is tried ------------------------------------------------------------------------------------- */

/* Takes the pages of so many drafts, or of fewer: one page is left for each that runs, as where somebody is let in, for
 * others get on before drafts do. Returns of how many. */
static size_t take_pages(struct scheduler *s, struct sequence *q, size_t drafts) {
    size_t page_tokens = s->options.rules.page_tokens, available = kv_pool_available(s->options.pool);
    size_t spare = available > s->running_count ? available - s->running_count : 0;
    drafts = smaller(drafts, (q->table.count + spare) * page_tokens - q->count);
    enum status status = kv_table_reserve(&q->table, s->options.pool, q->count + drafts);
    assert(status == STATUS_OK);
    (void)status;
    return drafts;
}

/* Adds the rows of the drafts that stand behind the sequence's tokens; returns how many. */
static size_t add_rows(struct scheduler *s, size_t place) {
    struct sequence *q = s->running[place];
    if (q->drafts == 0) {
        kv_table_shrink(&q->table, s->options.pool, q->count);
        return 0;
    }
    s->shares[place].rows += q->drafts;
    s->shares[place].logit_rows += q->drafts;
    stats_add(&s->stats.spec_drafts, 1);
    stats_add(&s->stats.spec_draft_tokens, q->drafts);
    return q->drafts;
}

static size_t add_of_text(struct scheduler *s, size_t at) {
    const struct drafting *d = &s->drafting;
    struct sequence *q = s->running[d->running[at]];
    struct follower_text said = said_by(q), prediction = prediction_of(q);
    int32_t *behind = q->tokens + q->count;
    q->drafts = take_pages(s, q, d->drafts[at]);
    if (q->draft_source == DRAFT_SOURCE_GRAMMAR)
        memcpy(behind, d->forced[at], q->drafts * sizeof *behind);
    else if (q->draft_source == DRAFT_SOURCE_PREDICTION)
        follower_guess(&q->prediction, &prediction, q->drafts, behind);
    else
        follower_guess(&q->own, &said, q->drafts, behind);
    q->drafts = constraint_fitting_drafts(q, q->drafts);
    return add_rows(s, d->running[at]);
}

static size_t add_of_texts(struct scheduler *s, size_t count) {
    const struct drafting *d = &s->drafting;
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        if (d->drafts[i] > 0) rows += add_of_text(s, i);
    return rows;
}

static size_t add_of_model(struct scheduler *s, size_t count, size_t at_most, size_t rows_max) {
    const struct drafting *d = &s->drafting;
    size_t rows = 0;
    self_drafts_begin(s, at_most, count, rows_max);
    for (size_t i = 0; i < count; i++) {
        struct sequence *q = s->running[d->running[i]];
        q->draft_source = DRAFT_SOURCE_SELF;
        self_drafts_add(s, q, take_pages(s, q, smaller(d->most[i], at_most)));
    }
    self_drafts_run(s);
    for (size_t i = 0; i < count; i++) rows += add_rows(s, d->running[i]);
    return rows;
}

/* By what is expected to say more in the same time. */
static size_t add_best(struct scheduler *s, size_t count) {
    struct drafting *d = &s->drafting;
    size_t rows_max = smaller(s->options.limits.rows, s->options.limits.logit_rows), depth = 0, at_most = 0;
    double text_rate, model_rate = 0;
    draft_plan(&d->cost, d->offers, count, rows_max, d->drafts, &text_rate);
    s->self_drafting.idle++;
    if (s->options.self_drafts.step)
        depth = self_drafts_depth(s, s->self_drafting.offers, count, rows_max, &at_most, &model_rate);
    if (depth == 0 || model_rate < text_rate) return add_of_texts(s, count);
    s->self_drafting.idle = 0;
    return add_of_model(s, count, at_most, rows_max);
}

size_t drafts_add(struct scheduler *s, size_t rows) {
    size_t count, added = 0;
    s->self_drafting.seconds = 0;
    if (!s->options.speculate || rows == 0) return 0;
    if (s->drafting.steps < DRAFT_STEPS_MAX && make_offers(s, &count)) added = add_best(s, count);
    s->drafting.steps = added > 0 ? s->drafting.steps + 1 : 0;
    if (added > 0) stats_add(&s->stats.spec_steps, 1);
    return added;
}

/* ---- what came of it ----------------------------------------------------------------------------------- */

void drafts_see(const struct scheduler *s, struct sequence *q) {
    struct follower_text said = said_by(q), prediction = prediction_of(q);
    if (s->options.speculate) follower_see(&q->own, &said, &said);
    /* Without drafts too: how much of a prediction was right is told to the client. */
    if (prediction.count > 0) follower_see(&q->prediction, &prediction, &said);
}

void drafts_held(struct scheduler *s, struct sequence *q) {
    stats_add(&s->stats.spec_accepted_tokens, 1);
    if (q->draft_source == DRAFT_SOURCE_SELF) self_drafts_count(s, q, true);
    if (q->draft_source == DRAFT_SOURCE_GRAMMAR) forced_drafts_count(q, true);
}

void drafts_settle(struct scheduler *s, struct sequence *q, bool is_wrong) {
    if (q->drafts == 0) return;
    if (is_wrong && q->draft_source == DRAFT_SOURCE_SELF) self_drafts_count(s, q, false);
    if (is_wrong && q->draft_source == DRAFT_SOURCE_GRAMMAR) forced_drafts_count(q, false);
    q->drafts = 0;
    kv_table_shrink(&q->table, s->options.pool, q->count);
}

void drafts_observe(struct scheduler *s, size_t rows, double seconds) {
    step_cost_observe(&s->drafting.cost, rows, seconds - s->self_drafting.seconds);
}
