#include "engine/sched/step.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/sample/logprobs.h"
#include "engine/sched/batch_slots.h"
#include "engine/sched/constraint.h"
#include "engine/sched/drafts.h"
#include "engine/sched/sequence_sets.h"
#include "engine/sched/scheduler_state.h"

enum status step_init(struct step *step, const struct scheduler_options *options, struct error *e) {
    const struct batch_limits *limits = &options->limits;
    size_t tops = options->rules.logprobs_max, top_total;
    *step =
        (struct step){.tops = tops, .scratch_count = options->workers ? workers_count(options->workers) : 1};
    if (!memory_multiply(limits->logit_rows, tops ? tops : 1, &top_total))
        return error_set(e, STATUS_LIMIT, "logprobs_max", "%zu is too large", tops);
    step->entries = memory_aligned(limits->sequences, sizeof *step->entries, "step entries", e);
    step->asked = memory_aligned(limits->sequences, sizeof *step->asked, "step entries", e);
    step->sequences = memory_aligned(limits->sequences, sizeof *step->sequences, "step entries", e);
    step->rows = memory_aligned(limits->logit_rows + limits->sequences, sizeof *step->rows, "step rows", e);
    step->top = memory_aligned(top_total, sizeof *step->top, "step logprobs", e);
    step->scratch = memory_aligned(step->scratch_count, sizeof *step->scratch, "sampler scratch", e);
    step->hidden = memory_aligned(step->scratch_count * options->rules.backend.hidden_scratch + 1,
                                  sizeof *step->hidden, "hidden states", e);
    enum status status = step->entries && step->asked && step->sequences && step->rows && step->top &&
                                 step->hidden && step->scratch
                             ? STATUS_OK
                             : STATUS_NO_MEMORY;
    for (size_t i = 0; i < step->scratch_count && status == STATUS_OK; i++)
        status = sampler_scratch_init(&step->scratch[i], options->vocabulary.rows, e);
    if (status != STATUS_OK) step_deinit(step);
    return status;
}

void step_deinit(struct step *step) {
    for (size_t i = 0; step->scratch && i < step->scratch_count; i++)
        sampler_scratch_deinit(&step->scratch[i]);
    free(step->entries);
    free(step->sequences);
    free(step->asked);
    free(step->rows);
    free(step->top);
    free(step->hidden);
    free(step->scratch);
    *step = (struct step){0};
}

size_t step_memory_bytes(const struct batch_limits *limits, size_t logprobs_max, size_t workers, size_t rows,
                         size_t hidden_scratch) {
    return limits->sequences * (sizeof(struct step_entry) + 2 * sizeof(struct sequence *)) +
           (limits->logit_rows + limits->sequences) * sizeof(struct step_row) +
           limits->logit_rows * logprobs_max * sizeof(struct engine_top) +
           workers * (sizeof(struct sampler_scratch) + sampler_scratch_bytes(rows) +
                      hidden_scratch * sizeof(double));
}

/* ---- what is computed ---------------------------------------------------------------------------------- */

static void add_rows(struct step *step, struct sequence *q, size_t end, size_t count) {
    for (size_t position = end - count; position < end; position++) {
        struct engine_top *top = step->top + step->row_count * step->tops;
        struct step_row *row = &step->rows[step->row_count++];
        bool samples = position + 1 >= q->count;
        *row = (struct step_row){.sequence = q,
                                 .position = position,
                                 .samples = samples,
                                 .drafts = samples ? q->count + q->drafts - position - 1 : 0,
                                 .is_last = q->drafts == 0 && position + 1 == q->count,
                                 .top = top};
    }
}

/* Of a mean every row counts, else the last alone. */
static bool wants_hidden(const struct sequence *q, size_t rows) {
    return q->request->pooling == ENGINE_POOLING_MEAN ||
           (q->request->pooling == ENGINE_POOLING_LAST && q->computed + rows == q->count);
}

static void add_entry(struct step *step, struct sequence *q, const struct batch_share *share) {
    step->sequences[step->entry_count] = q;
    step->entries[step->entry_count++] = (struct step_entry){.table = &q->table,
                                                             .tokens = q->tokens + q->computed,
                                                             .first_position = q->computed,
                                                             .count = share->rows,
                                                             .logit_rows = share->logit_rows,
                                                             .wants_hidden = wants_hidden(q, share->rows),
                                                             .rotary_length = q->rotary_length};
    step->pools |= step->entries[step->entry_count - 1].wants_hidden;
    add_rows(step, q, q->computed + share->rows, share->logit_rows);
}

/* Prefill rows beside the decode rows of the step that is being planned. No burst in place of the step
 * without prefill that the prefill budget asks for, and none after another: between two of them readers have a step of
 * the usual length. */
static size_t mixed_prefill_rows(struct scheduler *s) {
    struct step *step = &s->step;
    bool after_burst = step->is_burst;
    step->is_burst = false;
    if (step->decode_rows == 0) return 0;
    size_t budgeted = prefill_budget_prefill_rows(&s->budget, step->decode_rows);
    if (budgeted == 0 || after_burst) return budgeted;
    size_t burst = batch_burst_rows(&s->options.limits, s->needs, s->running_count);
    step->is_burst = burst > budgeted;
    return step->is_burst ? burst : budgeted;
}

/* Fills the entries by the plan; returns the rows in all. */
static size_t plan(struct scheduler *s) {
    struct step *step = &s->step;
    step->entry_count = step->row_count = step->fork_count = 0;
    step->pools = false;
    slots_describe(s);
    struct batch_limits limits = s->options.limits;
    step->decode_rows = batch_decode_rows(s->needs, s->running_count);
    if (limits.mixed_prefill_rows == 0) limits.mixed_prefill_rows = mixed_prefill_rows(s);
    size_t total = batch_share_rows(&limits, s->needs, s->running_count, s->shares);
    step->draft_rows = total == step->decode_rows ? drafts_add(s, total) : 0;
    for (size_t i = 0; i < s->running_count; i++)
        if (s->shares[i].rows > 0) add_entry(step, s->running[i], &s->shares[i]);
    return total + step->draft_rows;
}

/* Pages that are full now can be shared from now on. */
static void index_pages(struct scheduler *s, struct sequence *q) {
    struct kv_prefix *prefix = s->options.pool->prefix;
    size_t page_tokens = s->options.rules.page_tokens;
    for (; prefix && (q->indexed_pages + 1) * page_tokens <= q->computed; q->indexed_pages++)
        kv_prefix_add(prefix, &q->cursor, q->table.pages[q->indexed_pages],
                      q->tokens + q->indexed_pages * page_tokens);
}

/* Of so many rows behind what is computed, those of the prompt. */
static size_t prompt_rows(const struct sequence *q, size_t rows) {
    size_t prompt = q->request->prompt_count, left = q->computed < prompt ? prompt - q->computed : 0;
    return rows < left ? rows : left;
}

static void compute(struct scheduler *s) {
    struct step *step = &s->step;
    const struct backend *backend = &s->options.rules.backend;
    backend->step(backend->context, step->entries, step->entry_count);
    for (size_t i = 0; i < step->entry_count; i++) {
        struct sequence *q = step->sequences[i];
        size_t rows = step->entries[i].count - q->drafts; /* those of drafts are computed anew */
        stats_add(&s->stats.prompt_tokens_computed, prompt_rows(q, rows));
        q->computed += rows;
        index_pages(s, q);
    }
    for (size_t i = 0; i < step->row_count; i++) step->rows[i].logits = backend->logits(backend->context, i);
}

/* Siblings of those that have just computed the prompt of all: a row for each, which shares the leader's
 * logits. */
static void fork_leaders(struct scheduler *s, uint64_t now_ns) {
    struct step *step = &s->step;
    for (size_t i = 0; i < step->row_count; i++) {
        const struct step_row *row = &step->rows[i];
        struct engine_request *r = row->sequence->request;
        if (!row->samples || r->leader != row->sequence) continue;
        uint32_t next = 0;
        for (struct sequence *q; (q = slots_fork(s, row->sequence, &next, now_ns));)
            step->rows[step->row_count + step->fork_count++] = (struct step_row){.sequence = q,
                                                                                 .logits = row->logits,
                                                                                 .leader = row,
                                                                                 .position = row->position,
                                                                                 .samples = true};
        r->leader = NULL;
    }
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

static void sample(const struct scheduler *s, struct step_row *row, const uint32_t *mask,
                   struct sampler_scratch *scratch) {
    const struct sequence *q = row->sequence;
    struct sampler_input input = {.sampling = &q->request->terms->sampling,
                                  .tokens = q->tokens,
                                  .prompt_count = q->request->prompt_count,
                                  .count = row->position + 1,
                                  .mask = mask,
                                  .seed = q->request->seed,
                                  .choice = q->choice};
    input.banned_count = sequence_banned(q, input.count, &input.banned);
    row->status = sampler_pick(s->options.kernels, &s->options.vocabulary, scratch, &input, row->logits,
                               &row->id, NULL);
}

/* The same where the request has a grammar. */
static enum status sample_constrained(const struct scheduler *s, struct step_row *row,
                                      struct sampler_scratch *scratch) {
    struct grammar_steps steps = {.left = CONSTRAINT_ROW_STEPS};
    const uint32_t *mask;
    uint64_t start_ns = clock_ns();
    enum status status = constraint_mask(s, row, scratch->mask, &mask, &steps);
    row->mask_ns = clock_ns() - start_ns + constraint_take_ns(row);
    row->mask_steps = steps.used;
    if (status != STATUS_OK) return status;
    sample(s, row, mask, scratch);
    if (row->status != STATUS_OK) return row->status;
    start_ns = clock_ns();
    status = constraint_complete(s, row, scratch->mask, &row->complete, &steps);
    row->mask_ns += clock_ns() - start_ns;
    row->mask_steps = steps.used;
    /* There may be memory in the next turn. */
    row->is_unsettled = status == STATUS_BUSY || status == STATUS_NO_MEMORY;
    return row->is_unsettled ? STATUS_OK : status;
}

void step_sample(const struct scheduler *s, struct step_row *row, struct sampler_scratch *scratch) {
    if (row->sequence->request->terms->grammar)
        row->status = sample_constrained(s, row, scratch);
    else
        sample(s, row, NULL, scratch);
}

/* What is the same for all that sample from the row: checks, log probabilities, masks. The logits change here
 * (ids without a token are masked), so it is done once. */
static void score(const struct scheduler *s, struct step_row *row, struct sampler_scratch *scratch) {
    const struct sampler_vocabulary *vocabulary = &s->options.vocabulary;
    const struct engine_request *r = row->sequence->request;
    if (!logprobs_row_is_sound(row->logits, vocabulary->rows)) {
        row->unsound = true;
        row->status = STATUS_MALFORMED;
        return;
    }
    row->has_logprob = !row->samples || r->logprobs >= 0;
    if (row->has_logprob)
        row->normaliser = logprobs_normaliser(s->options.kernels, row->logits, vocabulary->rows);
    if (!row->samples) {
        row->id = row->sequence->tokens[row->position + 1];
        row->logprob = logprobs_of(row->logits[row->id], row->normaliser);
    }
    sampler_mask_unused_ids(vocabulary, row->logits);
    if (!row->samples) row->rank = logprobs_rank(row->logits, vocabulary->sampleable, row->id);
    if (r->logprobs <= 0) return;
    row->top_count = logprobs_best(row->logits, vocabulary->sampleable, (size_t)r->logprobs, row->normaliser,
                                   scratch->candidates);
    for (size_t i = 0; i < row->top_count; i++)
        row->top[i] = (struct engine_top){scratch->candidates[i].id, scratch->candidates[i].value};
}

static void copy_score(struct step_row *row) {
    const struct step_row *leader = row->leader;
    row->has_logprob = leader->has_logprob;
    row->normaliser = leader->normaliser;
    row->top = leader->top;
    row->top_count = leader->top_count;
    if (leader->unsound) row->status = leader->status, row->unsound = leader->unsound;
}

/* One row, from its logits alone. Any worker. */
static void evaluate(const struct scheduler *s, struct step_row *row, struct sampler_scratch *scratch) {
    if (row->leader)
        copy_score(row);
    else
        score(s, row, scratch);
    if (row->status != STATUS_OK || !row->samples) return;
    step_sample(s, row, scratch);
    if (row->status == STATUS_OK && row->has_logprob)
        row->logprob = logprobs_of(row->logits[row->id], row->normaliser);
}

static void evaluate_tile(void *context, size_t tile, size_t worker) {
    struct scheduler *s = context;
    evaluate(s, &s->step.rows[tile], &s->step.scratch[worker]);
}

static void evaluate_fork(void *context, size_t tile, size_t worker) {
    struct scheduler *s = context;
    evaluate(s, &s->step.rows[s->step.row_count + tile], &s->step.scratch[worker]);
}

void step_spread(struct scheduler *s, workers_fn fn, size_t count) {
    if (s->options.workers && count > 1) {
        workers_run(s->options.workers, fn, s, count);
        return;
    }
    for (size_t i = 0; i < count; i++) fn(s, i, 0);
}

/* ---- embeddings ---------------------------------------------------------------------------------------- */

static void pool_tile(void *context, size_t tile, size_t worker) {
    struct scheduler *s = context;
    const struct backend *backend = &s->options.rules.backend;
    const struct step_entry *entry = &s->step.entries[tile];
    struct sequence *q = s->step.sequences[tile];
    if (entry->wants_hidden)
        pooling_add(&q->pooling, q->request->pooling, backend, entry, tile, q->count,
                    s->step.hidden + worker * backend->hidden_scratch);
}

/* ---- events -------------------------------------------------------------------------------------------- */

static enum status post_row(struct scheduler *s, const struct step_row *row, enum engine_event_kind kind,
                            const struct sequence_progress *progress) {
    struct engine_event event = {.kind = kind,
                                 .choice = row->sequence->choice,
                                 .text = progress->text,
                                 .text_length = progress->text_length,
                                 .id = row->id,
                                 .has_logprob = row->has_logprob,
                                 .logprob = row->logprob,
                                 .top = row->top,
                                 .top_count = row->top_count,
                                 .rank = row->rank};
    return event_ring_post(&s->ready_list, &row->sequence->request->ring, &event);
}

static void deliver_prompt(struct scheduler *s, const struct step_row *row, uint64_t now_ns) {
    struct sequence *q = row->sequence;
    struct sequence_progress progress = {
        .text = "", .finish = ENGINE_FINISH_LENGTH, .stop_string = -1, .stop_token = -1};
    enum status status = post_row(s, row, ENGINE_EVENT_PROMPT, &progress);
    assert(status == STATUS_OK); /* no text, nothing to allocate */
    (void)status;
    q->prompt_scored++;
    if (q->request->max_tokens > 0 || sequence_scores_prompt(q)) return;
    stats_add(&s->stats.prompt_tokens, q->request->prompt_count);
    sets_finish(s, q, progress, NULL, now_ns);
}

static void deliver_embedding(struct scheduler *s, struct sequence *q, uint64_t now_ns) {
    struct sequence_progress progress = {
        .text = "", .finish = ENGINE_FINISH_STOP, .stop_string = -1, .stop_token = -1};
    struct error error;
    if (pooling_finish(&q->pooling, q->request->pooling)) {
        stats_add(&s->stats.prompt_tokens, q->request->prompt_count);
        stats_add(&s->stats.embeddings, 1);
        sets_finish(s, q, progress, NULL, now_ns);
        return;
    }
    error_set(&error, STATUS_MALFORMED, "hidden states", "the model computed values that are not numbers");
    sets_fail(s, q, STATUS_MALFORMED, &error, now_ns);
}

/* Before rows are delivered, which frees requests of other entries. */
static void deliver_embeddings(struct scheduler *s, uint64_t now_ns) {
    for (size_t i = 0; s->step.pools && i < s->step.entry_count; i++) {
        struct sequence *q = s->step.sequences[i];
        if (s->step.entries[i].wants_hidden && q->computed == q->count) deliver_embedding(s, q, now_ns);
    }
}

static void count_token(struct scheduler *s, struct sequence *q, uint64_t now_ns) {
    stats_add(&s->stats.generated_tokens, 1);
    if (q->first_token_ns) {
        histogram_observe(&s->stats.inter_token, (double)(now_ns - q->last_token_ns) * 1e-9);
    } else {
        q->first_token_ns = now_ns;
        stats_add(&s->stats.prompt_tokens, q->request->prompt_count);
        histogram_observe(&s->stats.time_to_first_token, (double)(now_ns - q->request->arrival_ns) * 1e-9);
    }
    q->last_token_ns = now_ns;
}

/* The draft behind the row is what it sampled: the next row, which was computed behind it, is the next of the
 * sequence. */
static void hold_draft(struct scheduler *s, struct sequence *q) {
    drafts_held(s, q);
    q->computed++;
    index_pages(s, q);
}

/* A text to which nothing can be added has ended by itself, if not by a stop string. Where that is not known yet it is not
 * known either whether it has ended by its length. */
static void follow_grammar(struct sequence *q, const struct step_row *row,
                           struct sequence_progress *progress) {
    if (row->complete) {
        progress->finished = true;
        progress->finish = ENGINE_FINISH_STOP;
    } else if (row->is_unsettled && !(progress->finished && progress->finish == ENGINE_FINISH_STOP)) {
        q->is_unsettled = true;
        q->is_at_length = progress->finished;
        progress->finished = false;
    }
}

/* Whether the draft behind the row is what it sampled, and that one's row is of use: it is not where the text may have ended,
 * and not where it failed, for want of memory or since its mask takes too much for now. Then the draft is dropped, and the
 * row computed again by itself: only that may fail the sequence, as it would without drafts. */
static bool next_holds(const struct sequence *q, const struct step_row *row, bool *is_right) {
    *is_right = row->drafts > 0 && q->tokens[q->count] == row->id;
    return *is_right && !row->is_unsettled && row[1].status == STATUS_OK;
}

/* Whether the next row of the sequence holds. */
static bool deliver_token(struct scheduler *s, struct step_row *row, uint64_t now_ns) {
    struct sequence *q = row->sequence;
    struct sequence_progress progress;
    struct error error;
    if (q->state == SEQUENCE_PREFILL) sequence_move(q, SEQUENCE_DECODE);
    bool is_right, is_drafted = next_holds(q, row, &is_right);
    enum status status = sequence_accept(q, row->id, &progress, &error);
    if (status == STATUS_OK) {
        if (q->request->terms->grammar) follow_grammar(q, row, &progress);
        count_token(s, q, now_ns);
        drafts_see(s, q);
        status = post_row(s, row, ENGINE_EVENT_TOKEN, &progress);
        if (status != STATUS_OK) error_set(&error, status, "text", "%zu bytes", progress.text_length);
    }
    if (status != STATUS_OK)
        sets_fail(s, q, status, &error, now_ns);
    else if (progress.finished)
        sets_finish(s, q, progress, NULL, now_ns);
    else if (is_drafted)
        hold_draft(s, q);
    else
        drafts_settle(s, q, row->drafts > 0 && !is_right);
    return status == STATUS_OK && !progress.finished && is_drafted;
}

/* Rows are many and fail seldom: what happened to one is written down when somebody is told. */
static void explain_row(const struct step_row *row, struct error *e) {
    if (row->unsound)
        error_set(e, row->status, "logits", "the model computed values that are not numbers");
    else if (row->status == STATUS_INVALID_ARGUMENT)
        sampler_refuse(e);
    else
        constraint_explain(row->status, e);
}

/* In the order of the rows, which is that of rank and, in a sequence, of position. A request may be freed by
 * the end of its last choice: the rows of a sequence that are behind its end, or behind a draft that was wrong, are
 * passed over without looking at it. */
static void deliver(struct scheduler *s, uint64_t now_ns) {
    const struct sequence *done = NULL;
    for (size_t i = 0; i < s->step.row_count + s->step.fork_count; i++) {
        struct step_row *row = &s->step.rows[i];
        if (row->sequence == done) continue;
        if (row->status != STATUS_OK) {
            struct error error;
            done = row->sequence;
            explain_row(row, &error);
            sets_fail(s, row->sequence, row->status, &error, now_ns);
        } else if (row->samples) {
            if (!deliver_token(s, row, now_ns)) done = row->sequence;
        } else {
            deliver_prompt(s, row, now_ns);
        }
    }
}

static void count_masks(struct scheduler *s) {
    for (size_t i = 0; i < s->step.row_count + s->step.fork_count; i++) {
        const struct step_row *row = &s->step.rows[i];
        if (row->mask_ns == 0) continue;
        stats_add(&s->stats.masks, 1);
        stats_add(&s->stats.mask_ns, row->mask_ns);
        stats_add(&s->stats.mask_steps, row->mask_steps);
    }
}

/* A step with drafts is no measure of one without: the prefill budget sees none of it. */
static void observe(struct scheduler *s, size_t rows, double seconds) {
    const struct step *step = &s->step;
    if (step->draft_rows == 0)
        prefill_budget_observe(&s->budget, step->decode_rows, rows - step->decode_rows, seconds);
    if (rows == step->decode_rows + step->draft_rows) drafts_observe(s, rows, seconds);
}

bool step_run(struct scheduler *s) {
    uint64_t start_ns = clock_ns();
    constraint_make_masks(s, true, start_ns);
    size_t rows = plan(s);
    if (rows == 0) return s->step.goes_on;
    compute(s);
    fork_leaders(s, clock_ns());
    step_spread(s, evaluate_tile, s->step.row_count);
    step_spread(s, evaluate_fork, s->step.fork_count);
    if (s->step.pools) step_spread(s, pool_tile, s->step.entry_count);
    uint64_t now_ns = clock_ns();
    count_masks(s);
    deliver_embeddings(s, now_ns);
    deliver(s, now_ns);
    double seconds = (double)(now_ns - start_ns) * 1e-9;
    observe(s, rows, seconds);
    stats_count_step(&s->stats, &(struct stats_step){.decode_rows = s->step.decode_rows + s->step.draft_rows,
                                                     .rows = rows,
                                                     .rows_most = s->options.limits.rows,
                                                     .sequences = s->step.entry_count,
                                                     .seconds = seconds});
    return true;
}
