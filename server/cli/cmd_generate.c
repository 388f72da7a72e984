/* generate: one prompt through the engine, without HTTP. The text, and nothing but the text, goes to standard
 * output as it comes; the rest goes to stderr.
 *
 * The main thread takes the events; the scheduler thread and the signal handler only post a semaphore. SIGINT
 * and SIGTERM end the generation: its text so far stays, and then the process ends by that signal, so that a
 * shell's loop stops too. While the model loads a signal ends the process at once. */
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "server/cli/command.h"
#include "server/cli/engine_setup.h"

#define PROMPT_BYTES_MAX ((size_t)16 << 20)
/* Of memory beside the engine: libraries, and the prompt while it is encoded. */
#define PROGRAM_BYTES ((size_t)32 << 20)

struct generation {
    struct engine *engine;
    struct engine_request *request;
    struct engine_event last; /* FINISHED; its text is gone */
    bool finished, cancelled;
    bool output_closed;  /* the reader of standard output has gone: nobody wants the rest */
    struct error output; /* any other failure to write; code OK while there is none */
    char last_byte;      /* of the text */
};

static sem_t ready;
static volatile sig_atomic_t stop_signal;

static void on_wake(void *context) {
    (void)context;
    sem_post(&ready);
}

static void on_signal(int number) {
    stop_signal = number;
    sem_post(&ready);
}

static void handle_signals(void) {
    /* A second signal ends the process at once. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- prompt ---- */

/* All of standard input, less one line end at its end, which `echo` adds. */
static enum status read_input(char **text, size_t *length, struct error *e) {
    *length = 0;
    *text = malloc(PROMPT_BYTES_MAX + 1);
    if (!*text) return error_set(e, STATUS_NO_MEMORY, "standard input", "no memory for the prompt");
    *length = fread(*text, 1, PROMPT_BYTES_MAX + 1, stdin);
    if (ferror(stdin)) return error_set(e, STATUS_IO, "standard input", "%s", strerror(errno));
    if (*length > PROMPT_BYTES_MAX)
        return error_set(e, STATUS_LIMIT, "standard input", "the prompt has more than %zu bytes",
                         PROMPT_BYTES_MAX);
    if (*length && (*text)[*length - 1] == '\n') --*length;
    return STATUS_OK;
}

static enum status read_prompt(const struct config *config, char **text, size_t *length, struct error *e) {
    if (!config->argument) return read_input(text, length, e);
    *length = strlen(config->argument);
    *text = strdup(config->argument);
    return *text ? STATUS_OK : error_set(e, STATUS_NO_MEMORY, "PROMPT", "no memory for the prompt");
}

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

static enum status encode(const struct engine *engine, const char *text, size_t length, int32_t **ids,
                          size_t *count, struct error *e) {
    *ids = NULL;
    enum status status = engine_encode(engine, text, length, true, 0, ids, count, e);
    return status == STATUS_OK && *count == 0 ? start_token(engine, ids, count, e) : status;
}

/* What the user said, else what the model's files say where they are to be applied. */
static double setting(const struct config *config, enum option_id id, double value,
                      const struct generation_default *of_model) {
    bool applies = strcmp(config->generation_defaults, "model") == 0 && of_model->is_said;
    return applies && !config_is_set(config, id) ? of_model->value : value;
}

static struct engine_sampling sampling_of(const struct config *config,
                                          const struct generation_defaults *model) {
    bool applies = strcmp(config->generation_defaults, "model") == 0;
    return (struct engine_sampling){
        .temperature = setting(config, OPTION_temperature, config->temperature, &model->temperature),
        .top_p = setting(config, OPTION_top_p, config->top_p, &model->top_p),
        .top_k = (uint32_t)setting(config, OPTION_top_k, (double)config->top_k, &model->top_k),
        .min_p = applies ? model->min_p.value : 0,
        .typical_p = applies && model->typical_p.is_said ? model->typical_p.value : 1,
        .repetition_penalty =
            applies && model->repetition_penalty.is_said ? model->repetition_penalty.value : 1,
        .has_seed = config_is_set(config, OPTION_seed),
        .seed = config->seed,
    };
}

static enum status submit(struct generation *g, const struct config *config, const int32_t *ids, size_t count,
                          struct error *e) {
    struct engine_string *stops = calloc(config->stop.count + 1, sizeof *stops);
    if (!stops) return error_set(e, STATUS_NO_MEMORY, "stop", "no memory for the stop texts");
    for (size_t i = 0; i < config->stop.count; i++)
        stops[i] = (struct engine_string){config->stop.items[i], strlen(config->stop.items[i])};
    struct engine_info info;
    engine_info(g->engine, &info);
    struct engine_prompt prompt = {
        .ids = ids,
        .count = count,
        .choices = 1,
        .max_tokens = (uint32_t)setting(config, OPTION_max_tokens, (double)config->max_tokens,
                                        &info.generation.max_tokens),
        .sampling = sampling_of(config, &info.generation),
        .stops = stops,
        .stop_count = config->stop.count,
        .skip_special = true,
        .logprobs = -1,
    };
    enum status status = engine_submit(g->engine, &prompt, 1, &g->request, e);
    free(stops);
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

static void take_event(struct generation *g, const struct engine_event *event) {
    write_text(g, event->text, event->text_length);
    if (event->kind != ENGINE_EVENT_FINISHED) return;
    g->last = *event;
    g->finished = true;
}

/* Until the engine says that the request has ended; a reason to stop becomes a cancel. */
static void follow(struct generation *g) {
    while (!g->finished) {
        struct engine_request *request;
        struct engine_event event;
        sem_wait(&ready); /* an interruption is a signal: looked at below */
        while (!g->finished && (request = engine_next_ready(g->engine)))
            while (!g->finished && engine_request_next_event(request, &event)) take_event(g, &event);
        bool unwanted = stop_signal || g->output_closed || g->output.code != STATUS_OK;
        if (g->finished || g->cancelled || !unwanted) continue;
        g->cancelled = true;
        engine_request_cancel(g->request);
    }
    if (isatty(STDOUT_FILENO) == 1 && g->last_byte != '\n') write_text(g, "\n", 1);
}

static double rate(size_t tokens, double seconds) {
    return seconds > 0 ? (double)tokens / seconds : 0;
}

/* By the engine's clock: what a slow reader of standard output does to the events says nothing about the
 * model. The first token is the prompt's work; the others are those between it and the last. */
static void report(const struct generation *g) {
    const struct engine_event *last = &g->last;
    if (g->output_closed || !last->completion_tokens) return;
    log_info(
        "prompt: %u tokens in %.3f s, %.1f tokens/s; generation: %u tokens, %u after the first in %.3f s, "
        "%.1f tokens/s; seed %lld",
        last->prompt_tokens, last->prefill_seconds,
        rate(last->prompt_tokens - last->cached_tokens, last->prefill_seconds), last->completion_tokens,
        last->completion_tokens - 1, last->decode_seconds,
        rate(last->completion_tokens - 1, last->decode_seconds), (long long)last->seed);
}

/* ---- command ---- */

static enum status generate(struct generation *g, const struct config *config, const char *text,
                            size_t length, struct error *e) {
    int32_t *ids = NULL;
    size_t count = 0;
    enum status status = encode(g->engine, text, length, &ids, &count, e);
    if (status == STATUS_OK) status = submit(g, config, ids, count, e);
    free(ids);
    if (status != STATUS_OK) return status;
    follow(g);
    report(g);
    if (g->output.code != STATUS_OK)
        *e = g->output;
    else if (g->last.finish == ENGINE_FINISH_FAILED)
        *e = *g->last.error;
    else
        *e = (struct error){0};
    engine_request_release(g->request);
    return e->code;
}

static enum status run(struct engine_setup *setup, const struct config *config, struct error *e) {
    struct generation g = {0};
    char *text = NULL;
    size_t length = 0;
    enum status status = engine_options_check(&setup->options, e);
    if (status == STATUS_OK) status = read_prompt(config, &text, &length, e);
    if (status == STATUS_OK) status = engine_open(&setup->options, &g.engine, e);
    progress_end(&setup->progress);
    if (status == STATUS_OK) {
        handle_signals();
        status = generate(&g, config, text, length, e);
        engine_close(g.engine);
    }
    free(text);
    return status;
}

enum exit_code cmd_generate(const struct config *config) {
    struct engine_setup setup;
    struct error e;
    if (engine_setup_init(&setup, config, &e) != STATUS_OK) return command_fail(EXIT_CODE_USAGE, &e);
    setup.options.wake = on_wake;
    setup.options.sequences_max = 1;
    setup.options.queue_max = 1;
    setup.options.reserves[setup.options.reserve_count++] = (struct engine_reserve){"program", PROGRAM_BYTES};
    sem_init(&ready, 0, 0);
    enum status status = run(&setup, config, &e);
    sem_destroy(&ready);
    if (stop_signal) {
        signal(stop_signal, SIG_DFL);
        raise(stop_signal);
    }
    return status == STATUS_OK ? EXIT_CODE_OK : command_fail_run(config, &e);
}
