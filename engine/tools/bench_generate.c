/* Times the scheduler with the model: turns as in serving, with sampling and with events that nobody
 * takes. */
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/sched/scheduler.h"
#include "engine/tools/bench_model.h"

/* Sequences that are prefilled first already decode, one token a step, while the rest of the rows prefills
 * the others. One token more than they can reach by then: none has ended when the clock stops. */
static size_t tokens_max(const struct bench_generation *g) {
    return g->tokens + 2 + g->batch * g->prompt / (BENCH_ROWS_MAX - BENCH_BATCH_MAX);
}

static enum status create_scheduler(struct bench_model *m, const struct bench_generation *g,
                                    struct scheduler **out, struct error *e) {
    size_t rows = forward_vocabulary(m->forward), context = g->prompt + tokens_max(g);
    /* The scheduler lets one in only where a page is left for each that runs (batch_admits). */
    size_t pages = g->batch * (kv_pages_for(context, BENCH_PAGE_TOKENS) + 1);
    enum status status = bench_pool_init(m, pages, e);
    if (status != STATUS_OK) return status;
    const struct scheduler_options options = {
        .rules = {.context = context,
                  .rows = rows,
                  .page_tokens = BENCH_PAGE_TOKENS,
                  .max_pending_events = tokens_max(g) + 1,
                  .choices_max = 1,
                  .backend = backend_of(m->forward)},
        .vocabulary = {.rows = rows, .sampleable = rows},
        .kernels = m->kernels,
        .workers = m->workers,
        .pool = &m->pool,
        .limits = {.rows = BENCH_ROWS_MAX,
                   .logit_rows = BENCH_BATCH_MAX,
                   .sequences = g->batch,
                   .mixed_prefill_rows = BENCH_ROWS_MAX},
        .queue_max = g->batch,
    };
    return scheduler_create(&options, out, e);
}

static enum status submit(struct scheduler *s, const struct bench_model *m, const struct bench_generation *g,
                          struct engine_request **requests, struct error *e) {
    struct engine_prompt prompts[BENCH_BATCH_MAX];
    for (size_t i = 0; i < g->batch; i++)
        prompts[i] = (struct engine_prompt){
            .ids = m->tokens + i,
            .count = g->prompt,
            .choices = 1,
            .max_tokens = (uint32_t)tokens_max(g),
            .sampling = {.temperature = g->temperature,
                         .top_p = g->top_p,
                         .typical_p = 1,
                         .repetition_penalty = 1,
                         .has_seed = true,
                         .seed = (int64_t)i},
            .logprobs = -1,
        };
    return scheduler_submit(s, prompts, g->batch, requests, e);
}

/* A sequence ends early when the model computes values that are not finite. */
static enum status refuse_ended(const struct engine_stats *stats, const struct bench_generation *g,
                                struct error *e) {
    return error_set(e, STATUS_MALFORMED, "bench", "%zu of %zu sequences ended early, %llu of them failed",
                     g->batch - stats->running, g->batch, (unsigned long long)stats->finished_failed);
}

static enum status prefill(struct scheduler *s, const struct bench_generation *g, struct error *e) {
    struct engine_stats stats;
    do {
        scheduler_turn(s);
        scheduler_stats(s, &stats);
        if (stats.running < g->batch) return refuse_ended(&stats, g, e);
    } while (stats.prompt_tokens < g->batch * g->prompt);
    return STATUS_OK;
}

static double run_turns(struct scheduler *s, size_t turns) {
    double start = clock_seconds();
    for (size_t i = 0; i < turns; i++) scheduler_turn(s);
    return clock_seconds() - start;
}

static enum status run(struct scheduler *s, const struct bench_generation *g, double *seconds,
                       struct error *e) {
    struct engine_stats stats;
    enum status status = prefill(s, g, e);
    if (status != STATUS_OK) return status;
    *seconds = run_turns(s, g->tokens);
    scheduler_stats(s, &stats);
    return stats.running == g->batch ? STATUS_OK : refuse_ended(&stats, g, e);
}

enum status bench_generate(struct bench_model *m, const struct bench_generation *g, double *seconds,
                           struct error *e) {
    struct engine_request *requests[BENCH_BATCH_MAX];
    struct scheduler *s;
    size_t most = BENCH_ROWS_MAX - BENCH_BATCH_MAX, context = m->loaded.description.context;
    if (g->batch > BENCH_BATCH_MAX || g->prompt > most || g->prompt + tokens_max(g) > context)
        return error_set(e, STATUS_LIMIT, "bench",
                         "%zu sequences of %zu and %zu tokens: at most %d, %zu and %zu in all", g->batch,
                         g->prompt, g->tokens, BENCH_BATCH_MAX, most, context);
    enum status status = create_scheduler(m, g, &s, e);
    if (status != STATUS_OK) return status;
    status = submit(s, m, g, requests, e);
    if (status == STATUS_OK) {
        status = run(s, g, seconds, e);
        for (size_t i = 0; i < g->batch; i++) scheduler_release(requests[i]);
    }
    scheduler_destroy(s);
    return status;
}
