#include "server/cli/generation.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "server/cli/token_options.h"

/* Of memory beside the engine: libraries, and the prompt while it is encoded. */
#define PROGRAM_BYTES ((size_t)32 << 20)

static sem_t ready;
volatile sig_atomic_t generation_signal;

static void on_wake(void *context) {
    (void)context;
    sem_post(&ready);
}

static void on_signal(int number) {
    generation_signal = number;
    sem_post(&ready);
}

static void handle_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

enum status generation_open(struct generation *g, struct engine_setup *setup, const struct config *config,
                            struct error *e) {
    *g = (struct generation){.choices = calloc(CHOICES_OF_PROMPT_MAX, sizeof *g->choices)};
    if (!g->choices) return error_set(e, STATUS_NO_MEMORY, "n", "no memory for the texts");
    setup->options.wake = on_wake;
    setup->options.sequences_max = config->n;
    setup->options.queue_max = CHOICES_OF_PROMPT_MAX; /* a session may set n */
    if (config->logprobs > (int64_t)setup->options.logprobs_max)
        setup->options.logprobs_max = (size_t)config->logprobs;
    setup->options.reserves[setup->options.reserve_count++] =
        (struct engine_reserve){"program", PROGRAM_BYTES};
    sem_init(&ready, 0, 0);
    enum status status = engine_open(&setup->options, &g->engine, e);
    progress_end(&setup->progress);
    if (status == STATUS_OK) handle_signals(); /* before, a signal ends the process at once */
    return status;
}

void generation_close(struct generation *g) {
    engine_grammar_release(g->grammar);
    if (g->engine) engine_close(g->engine);
    for (size_t i = 0; g->choices && i < CHOICES_OF_PROMPT_MAX; i++) choice_deinit(&g->choices[i]);
    free(g->choices);
    sem_destroy(&ready);
}

/* ---- prompt ---- */

/* An empty prompt starts a text from nothing: from the token that stands before one in training. */
static enum status start_token(const struct engine *engine, int32_t **ids, size_t *count, struct error *e) {
    struct engine_info info;
    engine_info(engine, &info);
    if (info.start < 0)
        return error_set(e, STATUS_INVALID_ARGUMENT, "PROMPT",
                         "is empty, and the model has no token to start from");
    free(*ids);
    *ids = malloc(sizeof **ids);
    if (!*ids) return error_set(e, STATUS_NO_MEMORY, "PROMPT", "no memory for the prompt");
    **ids = info.start;
    *count = 1;
    return STATUS_OK;
}

enum status generation_encode(const struct generation *g, const char *text, size_t length, int32_t **ids,
                              size_t *count, struct error *e) {
    *ids = NULL;
    enum status status = engine_encode(g->engine, text, length, true, 0, ids, count, e);
    return status == STATUS_OK && *count == 0 ? start_token(g->engine, ids, count, e) : status;
}

/* What the user said, else what the model's files say where they are to be applied. */
static double setting(const struct config *config, enum option_id id, double value,
                      const struct generation_default *of_model) {
    bool applies = strcmp(config->generation_defaults, "model") == 0 && of_model->is_said;
    return applies && !config_is_set(config, id) ? of_model->value : value;
}

static struct engine_sampling sampling_of(const struct config *config,
                                          const struct generation_defaults *model,
                                          const struct token_options *tokens) {
    return (struct engine_sampling){
        .temperature = setting(config, OPTION_temperature, config->temperature, &model->temperature),
        .top_p = setting(config, OPTION_top_p, config->top_p, &model->top_p),
        .top_k = (uint32_t)setting(config, OPTION_top_k, (double)config->top_k, &model->top_k),
        .min_p = setting(config, OPTION_min_p, config->min_p, &model->min_p),
        .typical_p = setting(config, OPTION_typical_p, config->typical_p, &model->typical_p),
        .repetition_penalty = setting(config, OPTION_repetition_penalty, config->repetition_penalty,
                                      &model->repetition_penalty),
        .presence_penalty = config->presence_penalty,
        .frequency_penalty = config->frequency_penalty,
        .biases = tokens->biases,
        .bias_count = tokens->bias_count,
        .allowed = tokens->allowed,
        .allowed_count = tokens->allowed_count,
        .bans = tokens->bans,
        .ban_count = tokens->ban_count,
        .has_seed = config_is_set(config, OPTION_seed),
        .seed = config->seed,
    };
}

/* The engine says by the field of a request that no token is left; here that is an option. */
static enum status blame_option(struct error *e) {
    static const char *const names[][2] = {
        {"allowed_token_ids", "allowed-token-ids"}, {"bad_words", "bad-words"}, {"min_tokens", "min-tokens"}};
    struct error cause = *e;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cause.code == STATUS_INVALID_ARGUMENT && strcmp(cause.where, names[i][0]) == 0)
            return error_set(e, STATUS_OPTION, names[i][1], "%s", cause.text);
    return cause.code;
}

static enum status submit(const struct generation *g, const struct config *config, const int32_t *ids,
                          size_t count, struct engine_request **out, struct error *e) {
    struct engine_info info;
    struct token_options tokens;
    engine_info(g->engine, &info);
    enum status status = token_options_init(&tokens, config, e);
    if (status == STATUS_OK) status = token_options_encode(&tokens, config, g->engine, e);
    const struct engine_prompt prompt = {
        .ids = ids,
        .count = count,
        .choices = (uint32_t)config->n,
        .max_tokens = (uint32_t)setting(config, OPTION_max_tokens, (double)config->max_tokens,
                                        &info.generation.max_tokens),
        .min_tokens = (uint32_t)config->min_tokens,
        .sampling = sampling_of(config, &info.generation, &tokens),
        .stops = tokens.stops,
        .stop_count = tokens.stop_string_count,
        .grammar = g->grammar,
        .stop_tokens = tokens.stop,
        .stop_token_count = tokens.stop_count,
        .ignore_end = config->ignore_eos,
        .include_stop_text = config->include_stop_str_in_output,
        .skip_special = config->skip_special_tokens,
        .logprobs = (int)config->logprobs,
    };
    if (status == STATUS_OK && prompt.max_tokens > 0 && prompt.min_tokens > prompt.max_tokens)
        status = error_set(e, STATUS_OPTION, "min-tokens", "more than --max-tokens %u", prompt.max_tokens);
    if (status == STATUS_OK && engine_submit(g->engine, &prompt, 1, out, e) != STATUS_OK)
        status = blame_option(e);
    token_options_deinit(&tokens);
    return status;
}

/* ---- text ---- */

static void write_text(struct generation *g, const char *text, size_t length) {
    while (length && !g->output_closed && g->output.code == STATUS_OK) {
        ssize_t written = write(STDOUT_FILENO, text, length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EPIPE)
            g->output_closed = true;
        else if (written < 0)
            error_set(&g->output, STATUS_IO, "standard output", "%s", strerror(errno));
        if (written < 0) return;
        g->last_byte = text[written - 1];
        text += written;
        length -= (size_t)written;
    }
}

static void end_line(struct generation *g) {
    if (g->last_byte != '\n') write_text(g, "\n", 1);
}

/* Several choices stand under lines that number them; a text alone stands alone. */
static void write_heading(struct generation *g) {
    char heading[48];
    if (g->count == 1 || g->showing == g->count) return;
    int length = snprintf(heading, sizeof heading, "== %zu of %zu ==\n", g->showing + 1, g->count);
    write_text(g, heading, (size_t)length);
}

/* The first of the choices that have not ended grows as it comes; those behind it wait for their turn. */
static void show(struct generation *g) {
    while (g->showing < g->count) {
        struct choice *c = &g->choices[g->showing];
        if (c->text.length > c->shown) write_text(g, c->text.data + c->shown, c->text.length - c->shown);
        c->shown = c->text.length;
        if (!c->is_finished) return;
        if (g->count > 1 || isatty(STDOUT_FILENO) == 1) end_line(g);
        g->showing++;
        write_heading(g);
    }
}

static void take_event(struct generation *g, const struct config *config, const struct engine_event *event) {
    struct choice *c = &g->choices[event->choice];
    struct error cause;
    if (choice_add(c, g->engine, config, event, &cause) != STATUS_OK && g->output.code == STATUS_OK)
        g->output = cause;
    g->finished += event->kind == ENGINE_EVENT_FINISHED;
    if (!g->is_silent) show(g);
}

/* Until the engine says that the request has ended; a reason to stop becomes a cancel. */
static void follow(struct generation *g, const struct config *config, struct engine_request *mine) {
    while (g->finished < g->count) {
        struct engine_request *request;
        struct engine_event event;
        sem_wait(&ready); /* an interruption is a signal: looked at below */
        /* To the end of what is ready: only then is the engine to wake us again, for the next text. */
        while ((request = engine_next_ready(g->engine)))
            while (engine_request_next_event(request, &event)) take_event(g, config, &event);
        bool unwanted = generation_signal || g->output_closed || g->output.code != STATUS_OK;
        if (g->finished == g->count || g->cancelled || !unwanted) continue;
        g->cancelled = true;
        engine_request_cancel(mine);
    }
}

/* What went wrong: with what was to be written, or with one of the texts. */
static enum status find_failure(const struct generation *g, struct error *e) {
    *e = g->output;
    for (size_t i = 0; i < g->count && e->code == STATUS_OK; i++)
        if (g->choices[i].last.finish == ENGINE_FINISH_FAILED) *e = *g->choices[i].last.error;
    return e->code;
}

enum status generation_run(struct generation *g, const struct config *config, const int32_t *ids,
                           size_t count, struct error *e) {
    struct engine_request *request;
    enum status status = submit(g, config, ids, count, &request, e);
    g->cancelled = false;
    g->finished = g->showing = 0;
    g->count = config->n;
    for (size_t i = 0; i < g->count; i++) choice_clear(&g->choices[i]);
    if (status != STATUS_OK) return status;
    if (!g->is_silent) write_heading(g);
    follow(g, config, request);
    status = find_failure(g, e);
    engine_request_release(request);
    return status;
}

static double rate(size_t tokens, double seconds) {
    return seconds > 0 ? (double)tokens / seconds : 0;
}

static void report_tables(const struct generation *g) {
    for (size_t i = 0; i < g->count; i++) {
        if (g->count > 1 && g->choices[i].table.length) log_say("== %zu of %zu ==", i + 1, g->count);
        choice_print_table(&g->choices[i]);
    }
}

/* By the engine's clock: what a slow reader of standard output does to the events says nothing about the
 * model. The first token of a text is the prompt's work; the others are those between it and the last. */
void generation_report(const struct generation *g) {
    const struct engine_event *first = &g->choices[0].last;
    double prefill = 0, decode = 0;
    unsigned tokens = 0, after_first = 0;
    if (g->output_closed) return;
    report_tables(g);
    for (size_t i = 0; i < g->count; i++) {
        const struct engine_event *last = &g->choices[i].last;
        tokens += last->completion_tokens;
        after_first += last->completion_tokens ? last->completion_tokens - 1 : 0;
        if (last->prefill_seconds > prefill) prefill = last->prefill_seconds;
        if (last->decode_seconds > decode) decode = last->decode_seconds;
    }
    if (!tokens) return;
    log_info(
        "prompt: %u tokens in %.3f s, %.1f tokens/s; generation: %u tokens, %u after the first in %.3f s, "
        "%.1f tokens/s; seed %lld",
        first->prompt_tokens, prefill, rate(first->prompt_tokens - first->cached_tokens, prefill), tokens,
        after_first, decode, rate(after_first, decode), (long long)first->seed);
}
