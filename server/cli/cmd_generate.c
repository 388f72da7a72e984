/* generate: one prompt through the engine, without HTTP. The text, and nothing but the text, goes to standard
 * output as it comes; the rest goes to stderr. On a terminal without a prompt: a session (session.h).
 *
 * SIGINT and SIGTERM end the generation: its text so far stays, and then the process ends by that signal, so that a
 * shell's loop stops too. While the model loads a signal ends the process at once. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/cli/answer.h"
#include "server/cli/command.h"
#include "server/cli/constraint.h"
#include "server/cli/generation.h"
#include "server/cli/session.h"
#include "server/cli/token_options.h"

#define PROMPT_BYTES_MAX ((size_t)16 << 20)

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

/* ---- command ---- */

static enum status answer_prompt(struct generation *g, const struct config *config, const char *model,
                                 const char *text, size_t length, struct error *e) {
    int32_t *ids = NULL;
    size_t count = 0;
    g->is_silent = config->json;
    enum status status = generation_encode(g, text, length, &ids, &count, e);
    if (status == STATUS_OK) status = generation_run(g, config, ids, count, e);
    if (status == STATUS_OK) generation_report(g);
    if (status == STATUS_OK && config->json) status = answer_print(g, config, model, e);
    free(ids);
    return status;
}

static enum status run(struct engine_setup *setup, const struct config *config, struct error *e) {
    struct generation g = {0};
    char *text = NULL;
    size_t length = 0;
    bool is_session = !config->argument && isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
    struct token_options tokens;
    struct constraint constraint = {0};
    /* Now rather than when the model is loaded. */
    enum status status = token_options_init(&tokens, config, e);
    token_options_deinit(&tokens);
    if (status == STATUS_OK) status = constraint_init(&constraint, config, e);
    if (status == STATUS_OK) status = engine_options_check(&setup->options, e);
    if (status == STATUS_OK && !is_session) status = read_prompt(config, &text, &length, e);
    if (status == STATUS_OK) {
        if (!constraint.option) setup->options.structured_outputs_mib = 0;
        status = generation_open(&g, setup, config, e);
        if (status == STATUS_OK) status = constraint_compile(&constraint, g.engine, &g.grammar, e);
        if (status == STATUS_OK)
            status = is_session ? session_run(&g, config, e)
                                : answer_prompt(&g, config, setup->model, text, length, e);
        generation_close(&g);
    }
    constraint_deinit(&constraint);
    free(text);
    return status;
}

enum exit_code cmd_generate(const struct config *config) {
    static struct engine_setup setup;
    struct error e;
    if (engine_setup_init(&setup, config, &e) != STATUS_OK) return command_fail(EXIT_CODE_USAGE, &e);
    enum status status = run(&setup, config, &e);
    int number = generation_signal;
    if (number) {
        signal(number, SIG_DFL);
        raise(number);
    }
    return status == STATUS_OK ? EXIT_CODE_OK : command_fail_run(config, &e);
}
