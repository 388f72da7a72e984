/* The engine as a whole: its thread, opening and closing, load and figures. */
#include "tests/support/fake_engine_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"

void engine_process_init(void) {}

/* With late-at the time limit of a request is over when each choice has said so much, whatever the clock
 * says. */
static bool is_late(const struct engine *engine, const struct engine_request *r) {
    if (!engine->late_at || !r->timeout_ms) return r->deadline_ns && clock_ns() >= r->deadline_ns;
    for (uint32_t i = 0; i < r->choice_count; i++)
        if (r->choices[i].made < engine->late_at) return false;
    return true;
}

static bool step(struct engine *engine) {
    bool worked = false;
    for (struct engine_request *r = engine->requests; r; r = r->next) {
        if (!r->running && (!fake_engine_running(engine) ||
                            fake_engine_running(engine) + r->choice_count <= engine->options.sequences_max)) {
            r->running = true;
            engine->stats.prompt_tokens += r->prompt_count;
        }
        if (!fake_request_is_finished(r) && is_late(engine, r))
            fake_request_finish(engine, r, ENGINE_FINISH_TIMEOUT);
        for (uint32_t i = 0; r->running && i < r->choice_count; i++)
            worked |= fake_choice_advance(engine, r, &r->choices[i]);
    }
    engine->stats.steps += worked;
    return worked;
}

static void sleep_ms(unsigned ms) {
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* Gives the lock away meanwhile; engine_close ends it early. */
static void wait_ms(struct engine *engine, unsigned ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + ms * 1000000ull;
    until.tv_sec += (time_t)(ns / 1000000000u);
    until.tv_nsec = (long)(ns % 1000000000u);
    while (!engine->closing && pthread_cond_timedwait(&engine->closed, &engine->lock, &until) == 0) continue;
}

static void *run(void *context) {
    struct engine *engine = context;
    pthread_mutex_lock(&engine->lock);
    while (!engine->closing) {
        bool worked = step(engine);
        wait_ms(engine, engine->token_ms ? engine->token_ms : worked ? 0 : 1);
    }
    pthread_mutex_unlock(&engine->lock);
    return NULL;
}

/* ---- open, close --------------------------------------------------------------------------------------- */

static unsigned setting(const char *list, const char *name) {
    const char *at = strstr(list, name);
    if (!at) return 0;
    at += strlen(name);
    return *at == '=' ? (unsigned)strtoul(at + 1, NULL, 10) : 1;
}

static void wake_nobody(void *context) {
    (void)context;
}

struct engine_options fake_engine_options(void) {
    return (struct engine_options){.model = "fake",
                                   .wake = wake_nobody,
                                   .max_pending_events = 64,
                                   .sequences_max = 8,
                                   .queue_max = 64,
                                   .logprobs_max = 20};
}

enum status engine_isa_check(enum kernel_isa isa, struct error *e) {
    (void)isa, (void)e;
    return STATUS_OK;
}

enum status engine_options_check(const struct engine_options *options, struct error *e) {
    return engine_isa_check(options->isa, e);
}

enum status engine_open(const struct engine_options *options, struct engine **out, struct error *e) {
    *out = NULL;
    for (unsigned i = 0, ms = setting(options->model, "load-ms"); ms && i <= 10; i++) {
        if (options->progress) options->progress(options->progress_context, "converting", i * 0.1);
        sleep_ms(ms / 10);
    }
    if (setting(options->model, "fail-load"))
        return error_set(e, STATUS_MALFORMED, "model.safetensors", "it was told to fail");
    struct engine *engine = calloc(1, sizeof *engine);
    assert(engine);
    engine->options = *options;
    engine->token_ms = setting(options->model, "token-ms");
    engine->fail_at = setting(options->model, "fail-at");
    engine->tokens_max = setting(options->model, "tokens-max");
    engine->late_at = setting(options->model, "late-at");
    engine->holds = setting(options->model, "holds");
    engine->no_chat = setting(options->model, "no-chat");
    engine->no_infill = setting(options->model, "no-infill");
    engine->no_start = setting(options->model, "no-start");
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->closed, NULL);
    pthread_cond_init(&engine->let_go, NULL);
    pthread_create(&engine->thread, NULL, run, engine);
    *out = engine;
    return STATUS_OK;
}

void engine_close(struct engine *engine) {
    pthread_mutex_lock(&engine->lock);
    assert(!engine->requests && !engine->reserved);
    engine->closing = true;
    pthread_cond_signal(&engine->closed);
    pthread_mutex_unlock(&engine->lock);
    pthread_join(engine->thread, NULL);
    pthread_cond_destroy(&engine->closed);
    pthread_cond_destroy(&engine->let_go);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

void engine_info(const struct engine *engine, struct engine_info *out) {
    *out = (struct engine_info){.family = "fake",
                                .norm_placement = "pre",
                                .norm_form = NORM_FORM_CRMSNORM,
                                .weights = WEIGHT_TYPE_F32,
                                .kv_type = KV_TYPE_F32,
                                .matmul = MATMUL_OWN,
                                .isa = KERNEL_ISA_scalar,
                                .cpu_features = "none",
                                .context = FAKE_CONTEXT,
                                .own_context = FAKE_CONTEXT,
                                .vocabulary = FAKE_VOCABULARY,
                                .embedding_width = FAKE_EMBEDDING_WIDTH,
                                .threads = 1,
                                .kv_pages = 1024,
                                .kv_page_tokens = FAKE_PAGE_TOKENS,
                                .sequences_max = engine->options.sequences_max,
                                .queue_max = engine->options.queue_max,
                                .logprobs_max = engine->options.logprobs_max,
                                .bos = engine->no_start ? -1 : FAKE_END,
                                .start = engine->no_start ? -1 : FAKE_END,
                                .pad = -1,
                                .end_tokens = {FAKE_END},
                                .end_count = engine->no_start ? 0 : 1};
}

/* ---- load, drain, figures ------------------------------------------------------------------------------ */

void engine_drain(struct engine *engine) {
    pthread_mutex_lock(&engine->lock);
    engine->draining = true;
    pthread_mutex_unlock(&engine->lock);
}

unsigned engine_retry_after(const struct engine *engine) {
    (void)engine;
    return 7;
}

void engine_stats(const struct engine *engine, struct engine_stats *out) {
    static const double bounds[] = {0.01, 0.1, 1};
    struct engine *unlocked = (struct engine *)engine;
    pthread_mutex_lock(&unlocked->lock);
    *out = engine->stats;
    out->running = fake_engine_running(engine);
    out->waiting = fake_engine_waiting(engine);
    out->kv_pages_total = 1024;
    for (const struct engine_request *r = engine->requests; r; r = r->next)
        if (r->running && !fake_request_is_finished(r))
            out->kv_pages_used += r->choice_count * (r->prompt_count / FAKE_PAGE_TOKENS + 1);
    pthread_mutex_unlock(&unlocked->lock);
    struct engine_histogram *histograms[] = {&out->time_to_first_token,
                                             &out->inter_token,
                                             &out->end_to_end,
                                             &out->queue_time,
                                             &out->prefill_time,
                                             &out->decode_time,
                                             &out->step_time_decode,
                                             &out->step_time_prefill,
                                             &out->step_time_mixed,
                                             &out->step_tokens,
                                             &out->step_sequences,
                                             &out->step_budget,
                                             &out->inference_time,
                                             &out->token_time,
                                             &out->request_computed_tokens,
                                             &out->request_max_tokens,
                                             &out->request_longest_tokens,
                                             &out->request_choices,
                                             &out->request_prompt_tokens,
                                             &out->request_generated_tokens};
    for (size_t i = 0; i < sizeof histograms / sizeof *histograms; i++) {
        histograms[i]->bounds = bounds;
        histograms[i]->bound_count = 3;
    }
}

/* It always gets on. */
void engine_pulse(const struct engine *engine, struct engine_pulse *out) {
    (void)engine;
    *out = (struct engine_pulse){.progress = clock_ns(), .has_work = true};
}
