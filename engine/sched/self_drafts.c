#include "engine/sched/self_drafts.h"

#include "engine/base/clock.h"
#include "engine/sample/logprobs.h"
#include "engine/sched/scheduler_state.h"

#define TRIALS_MAX    256 /* then counts are halved */
#define PRIOR         0.7 /* of a model in int4 beside itself, before anything was tried */
#define PRIOR_TRIALS  16
#define SHARED_TRIALS 8 /* what all sequences have found counts for one as so many trials of its own */
/* Of a step of as many rows, before one was measured: int4 is a fourth of bf16. */
#define UNKNOWN_COST 0.25
/* Where it does not pay it is tried that often, so that it shows when that changes; in large batches never. */
#define IDLE_MAX      64
#define IDLE_ROWS_MAX 8

/* ---- what is expected ---------------------------------------------------------------------------------- */

static double chance(const struct self_drafting *d, const struct sequence *q) {
    double shared = (d->hits + PRIOR_TRIALS * PRIOR) / (d->trials + PRIOR_TRIALS);
    return (q->self_hits + SHARED_TRIALS * shared) / (q->self_trials + SHARED_TRIALS);
}

void self_drafts_offer(const struct scheduler *s, const struct sequence *q, size_t most,
                       struct draft_offer *offer) {
    double one = chance(&s->self_drafting, q), all = 1;
    offer->count = most;
    for (size_t i = 0; i < most; i++) offer->chances[i] = all *= one;
}

static double step_seconds(const struct scheduler *s, size_t rows) {
    const struct step_cost *own = &s->self_drafting.cost;
    if (step_cost_is_known(own, rows)) return step_cost_of(own, rows);
    return UNKNOWN_COST * step_cost_of(&s->drafting.cost, rows);
}

size_t self_drafts_depth(struct scheduler *s, const struct draft_offer *offers, size_t count, size_t rows_max,
                         double *rate) {
    const struct step_cost *cost = &s->drafting.cost;
    *rate = 0;
    if (count == 0 || !step_cost_is_known(cost, count)) return 0;
    size_t depth = draft_plan_depth(cost, step_seconds(s, count), offers, count, rows_max, rate);
    if (depth > 0 || s->self_drafting.idle < IDLE_MAX || count > IDLE_ROWS_MAX || 2 * count > rows_max)
        return depth;
    *rate = (double)count / step_cost_of(cost, count);
    return 1;
}

static void count_trial(uint32_t *hits, uint32_t *trials, bool is_right) {
    *hits += is_right;
    if (++*trials < TRIALS_MAX) return;
    *trials /= 2;
    *hits /= 2;
}

void self_drafts_count(struct scheduler *s, struct sequence *q, bool is_right) {
    count_trial(&q->self_hits, &q->self_trials, is_right);
    count_trial(&s->self_drafting.hits, &s->self_drafting.trials, is_right);
}

/* ---- drafting ------------------------------------------------------------------------------------------ */

void self_drafts_begin(struct scheduler *s) {
    s->self_drafting.count = 0;
}

void self_drafts_add(struct scheduler *s, struct sequence *q, size_t target) {
    struct self_drafting *d = &s->self_drafting;
    d->sequences[d->count] = q;
    d->targets[d->count++] = target;
    q->drafts = 0;
}

/* A row of each that is not done yet: the last of its tokens and drafts. */
static size_t add_rows(struct self_drafting *d, size_t depth) {
    size_t rows = 0;
    for (size_t i = 0; i < d->count; i++) {
        struct sequence *q = d->sequences[i];
        size_t position = q->count + q->drafts - 1;
        if (q->drafts < depth || q->drafts == d->targets[i]) continue;
        d->entries[rows] = (struct step_entry){.table = &q->table,
                                               .tokens = q->tokens + position,
                                               .first_position = position,
                                               .count = 1,
                                               .logit_rows = 1,
                                               .rotary_length = q->rotary_length};
        d->rows[rows++] = (struct step_row){.sequence = q, .position = position, .samples = true};
    }
    return rows;
}

static void pick_tile(void *context, size_t tile, size_t worker) {
    struct scheduler *s = context;
    struct step_row *row = &s->self_drafting.rows[tile];
    if (!logprobs_row_is_sound(row->logits, s->options.vocabulary.rows)) {
        row->status = STATUS_MALFORMED;
        return;
    }
    sampler_mask_unused_ids(&s->options.vocabulary, row->logits);
    step_sample(s, row, &s->step.scratch[worker]);
}

/* The next draft of each; false: there is none. */
static bool run_step(struct scheduler *s, size_t depth) {
    struct self_drafting *d = &s->self_drafting;
    const struct backend *backend = &s->options.self_drafts;
    uint64_t start_ns = clock_ns();
    size_t rows = add_rows(d, depth);
    if (rows == 0) return false;
    backend->step(backend->context, d->entries, rows);
    for (size_t i = 0; i < rows; i++) d->rows[i].logits = backend->logits(backend->context, i);
    step_spread(s, pick_tile, rows);
    for (size_t i = 0; i < rows; i++) {
        struct sequence *q = d->rows[i].sequence;
        if (d->rows[i].status == STATUS_OK) q->tokens[q->count + q->drafts++] = d->rows[i].id;
    }
    double seconds = (double)(clock_ns() - start_ns) * 1e-9;
    d->seconds += seconds;
    step_cost_observe(&d->cost, rows, seconds);
    return true;
}

void self_drafts_run(struct scheduler *s) {
    for (size_t depth = 0; run_step(s, depth);) depth++;
}
