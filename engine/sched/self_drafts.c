#include "engine/sched/self_drafts.h"

#include <math.h>

#include "engine/base/clock.h"
#include "engine/sample/logprobs.h"
#include "engine/sched/scheduler_state.h"

#define TRIALS_MAX    256 /* then counts are halved */
#define PRIOR         0.7 /* of a model in int4 beside itself, before anything was tried */
#define PRIOR_TRIALS  16
#define SHARED_TRIALS 8 /* what all sequences have found counts for one as so many trials of its own */
/* Of a draft that is made, by the probability that the drafter itself gives it: from which a class is the next, and its
 * odds before anything was tried. */
static const double class_bounds[SELF_DRAFT_CLASSES - 1] = {0.3, 0.5, 0.7};
static const double class_priors[SELF_DRAFT_CLASSES] = {0.5, 0.7, 0.85, 0.95};
/* Of a step of as many rows, before one was measured: int4 is a fourth of bf16. */
#define UNKNOWN_COST 0.25
/* Where it does not pay it is tried that often, so that it shows when that changes; in large batches never. */
#define IDLE_MAX      64
#define IDLE_ROWS_MAX 8

/* ---- what is expected ---------------------------------------------------------------------------------- */

/* Of the next draft, before it is made. */
static double chance(const struct self_drafting *d, const struct sequence *q) {
    double shared = (d->hits + PRIOR_TRIALS * PRIOR) / (d->trials + PRIOR_TRIALS);
    return (q->self_hits + SHARED_TRIALS * shared) / (q->self_trials + SHARED_TRIALS);
}

static double class_chance(const struct self_drafting *d, size_t of) {
    return (d->class_hits[of] + PRIOR_TRIALS * class_priors[of]) / (d->class_trials[of] + PRIOR_TRIALS);
}

static size_t class_of(const struct step_row *row) {
    double probability = exp((double)row->logprob);
    size_t found = 0;
    while (found + 1 < SELF_DRAFT_CLASSES && probability >= class_bounds[found]) found++;
    return found;
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

/* Who has none waits no longer for those of others than was planned. */
static size_t deepest_of(const struct draft_offer *offers, size_t count, size_t depth) {
    for (size_t i = 0; i < count; i++)
        if (offers[i].count == 0) return depth;
    return DRAFT_TOKENS_MAX;
}

size_t self_drafts_depth(struct scheduler *s, const struct draft_offer *offers, size_t count, size_t rows_max,
                         size_t *at_most, double *rate) {
    const struct step_cost *cost = &s->drafting.cost;
    *rate = 0;
    if (count == 0 || !step_cost_is_known(cost, count)) return 0;
    size_t depth = draft_plan_depth(cost, step_seconds(s, count), offers, count, rows_max, rate);
    *at_most = deepest_of(offers, count, depth);
    if (depth > 0 || s->self_drafting.idle < IDLE_MAX || count > IDLE_ROWS_MAX || 2 * count > rows_max)
        return depth;
    *rate = (double)count / step_cost_of(cost, count);
    return *at_most = 1;
}

static void count_trial(uint32_t *hits, uint32_t *trials, bool is_right) {
    *hits += is_right;
    if (++*trials < TRIALS_MAX) return;
    *trials /= 2;
    *hits /= 2;
}

void self_drafts_count(struct scheduler *s, struct sequence *q, bool is_right) {
    struct self_drafting *d = &s->self_drafting;
    size_t of = q->self_classes[q->self_counted++];
    count_trial(&q->self_hits, &q->self_trials, is_right);
    count_trial(&d->hits, &d->trials, is_right);
    count_trial(&d->class_hits[of], &d->class_trials[of], is_right);
}

/* ---- how far ------------------------------------------------------------------------------------------- */

static bool goes_on(const struct self_drafting *d, size_t i, size_t depth) {
    return !d->done[i] && d->sequences[i]->drafts == depth && depth < d->targets[i];
}

static size_t count_going_on(const struct self_drafting *d, size_t depth) {
    size_t count = 0;
    for (size_t i = 0; i < d->count; i++) count += goes_on(d, i, depth);
    return count;
}

/* Tokens a second that the step has with the drafts that are made. */
static double rate_so_far(const struct scheduler *s) {
    const struct self_drafting *d = &s->self_drafting;
    return d->tokens / (step_cost_of(&s->drafting.cost, d->row_count) + d->planned_seconds);
}

/* Ends those whose next draft would say less in its share of the time than the step says so far. true: there were such;
 * for the others the next one costs more then. */
static bool end_unlikely(struct scheduler *s, size_t depth, double rate) {
    struct self_drafting *d = &s->self_drafting;
    const struct step_cost *cost = &s->drafting.cost;
    size_t count = count_going_on(d, depth);
    bool ended = false;
    if (count == 0) return false;
    double more =
        step_seconds(s, count) + step_cost_of(cost, d->row_count + count) - step_cost_of(cost, d->row_count);
    for (size_t i = 0; i < d->count; i++) {
        if (!goes_on(d, i, depth)) continue;
        if (d->all_right[i] * chance(d, d->sequences[i]) > rate * more / (double)count) continue;
        ended = d->done[i] = true;
    }
    return ended;
}

/* How many have another draft. The first is planned; whether more follow is seen by what came. */
static size_t choose(struct scheduler *s, size_t depth) {
    struct self_drafting *d = &s->self_drafting;
    if (depth == d->deepest || d->row_count + count_going_on(d, depth) > d->rows_max) return 0;
    if (depth > 0) {
        double rate = rate_so_far(s);
        while (end_unlikely(s, depth, rate)) {
        }
    }
    return count_going_on(d, depth);
}

/* ---- drafting ------------------------------------------------------------------------------------------ */

void self_drafts_begin(struct scheduler *s, size_t deepest, size_t rows, size_t rows_max) {
    struct self_drafting *d = &s->self_drafting;
    d->count = 0;
    d->deepest = deepest;
    d->row_count = rows;
    d->rows_max = rows_max < STEP_COST_ROWS_MAX ? rows_max : STEP_COST_ROWS_MAX;
    d->tokens = (double)rows;
    d->planned_seconds = 0;
}

void self_drafts_add(struct scheduler *s, struct sequence *q, size_t target) {
    struct self_drafting *d = &s->self_drafting;
    d->all_right[d->count] = 1;
    d->done[d->count] = false;
    d->sequences[d->count] = q;
    d->targets[d->count++] = target;
    q->drafts = q->self_counted = 0;
}

/* A row of each that is not done yet: the last of its tokens and drafts. */
static size_t add_rows(struct self_drafting *d, size_t depth) {
    size_t rows = 0;
    for (size_t i = 0; i < d->count; i++) {
        struct sequence *q = d->sequences[i];
        size_t position = q->count + q->drafts - 1;
        if (!goes_on(d, i, depth)) continue;
        d->places[rows] = i;
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
    double normaliser = logprobs_normaliser(s->options.kernels, row->logits, s->options.vocabulary.rows);
    sampler_mask_unused_ids(&s->options.vocabulary, row->logits);
    step_sample(s, row, &s->step.scratch[worker]);
    if (row->status == STATUS_OK) row->logprob = logprobs_of(row->logits[row->id], normaliser);
}

static void take(struct self_drafting *d, const struct step_row *row, size_t place) {
    struct sequence *q = row->sequence;
    if (row->status != STATUS_OK) return;
    size_t of = class_of(row);
    q->self_classes[q->drafts] = (unsigned char)of;
    q->tokens[q->count + q->drafts++] = row->id;
    d->tokens += d->all_right[place] *= class_chance(d, of);
    d->row_count++;
}

/* The next draft of each; false: there is none. */
static bool run_step(struct scheduler *s, size_t depth) {
    struct self_drafting *d = &s->self_drafting;
    const struct backend *backend = &s->options.self_drafts;
    uint64_t start_ns = clock_ns();
    if (choose(s, depth) == 0) return false;
    size_t rows = add_rows(d, depth);
    d->planned_seconds += step_seconds(s, rows);
    backend->step(backend->context, d->entries, rows);
    for (size_t i = 0; i < rows; i++) d->rows[i].logits = backend->logits(backend->context, i);
    step_spread(s, pick_tile, rows);
    for (size_t i = 0; i < rows; i++) take(d, &d->rows[i], d->places[i]);
    double seconds = (double)(clock_ns() - start_ns) * 1e-9;
    d->seconds += seconds;
    step_cost_observe(&d->cost, rows, seconds);
    return true;
}

void self_drafts_run(struct scheduler *s) {
    for (size_t depth = 0; run_step(s, depth);) depth++;
}
