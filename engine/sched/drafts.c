#include "engine/sched/drafts.h"

#include <assert.h>

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

/* The prediction goes before what was said, where it is as likely. */
static void make_offer(struct sequence *q, size_t most, struct draft_offer *offer) {
    struct follower_text said = said_by(q), prediction = prediction_of(q);
    struct draft_offer predicted;
    offer->count = follower_chances(&q->own, &said, most, offer->chances);
    predicted.count = follower_chances(&q->prediction, &prediction, most, predicted.chances);
    q->drafts_prediction =
        predicted.count > 0 && (offer->count == 0 || predicted.chances[0] >= offer->chances[0]);
    if (q->drafts_prediction) *offer = predicted;
}

/* false: somebody computes a prompt, or there are too many. */
static bool make_offers(struct scheduler *s, size_t *count) {
    struct drafting *d = &s->drafting;
    *count = 0;
    for (size_t i = 0; i < s->running_count; i++) {
        if (!s->needs[i].decoding) return false;
        if (s->shares[i].rows == 0) continue;
        if (*count == STEP_COST_ROWS_MAX) return false;
        d->running[*count] = i;
        make_offer(s->running[i], most_drafts(s->running[i], &s->needs[i]), &d->offers[(*count)++]);
    }
    return true;
}

/* ---- what is tried ------------------------------------------------------------------------------------- */

/* One page is left for each that runs, as where somebody is let in: others get on before drafts do. */
static size_t affordable(const struct scheduler *s, const struct sequence *q, size_t drafts) {
    size_t page_tokens = s->options.rules.page_tokens, available = kv_pool_available(s->options.pool);
    size_t spare = available > s->running_count ? available - s->running_count : 0;
    return smaller(drafts, (q->table.count + spare) * page_tokens - q->count);
}

static size_t give(struct scheduler *s, size_t place, size_t drafts) {
    struct sequence *q = s->running[place];
    struct follower_text said = said_by(q), prediction = prediction_of(q);
    q->drafts = affordable(s, q, drafts);
    if (q->drafts == 0) return 0;
    enum status status = kv_table_reserve(&q->table, s->options.pool, q->count + q->drafts);
    assert(status == STATUS_OK);
    (void)status;
    if (q->drafts_prediction)
        follower_guess(&q->prediction, &prediction, q->drafts, q->tokens + q->count);
    else
        follower_guess(&q->own, &said, q->drafts, q->tokens + q->count);
    s->shares[place].rows += q->drafts;
    s->shares[place].logit_rows += q->drafts;
    stats_add(&s->stats.spec_drafts, 1);
    stats_add(&s->stats.spec_draft_tokens, q->drafts);
    return q->drafts;
}

size_t drafts_add(struct scheduler *s, size_t rows) {
    struct drafting *d = &s->drafting;
    const struct batch_limits *limits = &s->options.limits;
    size_t count, given = 0;
    if (!s->options.speculate || rows == 0 || d->steps >= DRAFT_STEPS_MAX || !make_offers(s, &count))
        return 0;
    draft_plan(&d->cost, d->offers, count, smaller(limits->rows, limits->logit_rows), d->drafts);
    for (size_t i = 0; i < count; i++)
        if (d->drafts[i] > 0) given += give(s, d->running[i], d->drafts[i]);
    if (given > 0) stats_add(&s->stats.spec_steps, 1);
    return given;
}

/* ---- what came of it ----------------------------------------------------------------------------------- */

void drafts_see(const struct scheduler *s, struct sequence *q) {
    struct follower_text said = said_by(q), prediction = prediction_of(q);
    if (s->options.speculate) follower_see(&q->own, &said, &said);
    /* Without drafts too: how much of a prediction was right is told to the client. */
    if (prediction.count > 0) follower_see(&q->prediction, &prediction, &said);
}

void drafts_settle(struct scheduler *s, struct sequence *q) {
    if (q->drafts == 0) return;
    q->drafts = 0;
    kv_table_shrink(&q->table, s->options.pool, q->count);
}

void drafts_observe(struct scheduler *s, size_t rows, size_t draft_rows, double seconds) {
    s->drafting.steps = draft_rows > 0 ? s->drafting.steps + 1 : 0;
    step_cost_observe(&s->drafting.cost, rows, seconds);
}
