/* prenormd COMMAND [OPTION]...: configuration, log, then the command. Nothing below this file ends the
 * process. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/engine.h"
#include "server/command.h"
#include "version.h"

static enum exit_code (*const commands[COMMAND_COUNT])(const struct config *config) = {
    [COMMAND_SERVE] = cmd_serve,
    [COMMAND_GENERATE] = cmd_generate,
    [COMMAND_VERIFY] = cmd_verify,
    [COMMAND_CONVERT] = cmd_convert,
    [COMMAND_BENCH] = cmd_bench,
};

static enum exit_code finish_output(void) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return EXIT_CODE_OK;
    perror("prenormd: standard output");
    return EXIT_CODE_FAILURE;
}

static void set_log_level(const char *choice) {
    static const char *const names[] = {[LOG_LEVEL_ERROR] = "error",
                                        [LOG_LEVEL_WARN] = "warn",
                                        [LOG_LEVEL_INFO] = "info",
                                        [LOG_LEVEL_DEBUG] = "debug"};
    for (size_t level = 0; level < sizeof names / sizeof *names; level++)
        if (strcmp(choice, names[level]) == 0) log_set_level((enum log_level)level);
}

static enum exit_code act(enum command command, const struct config *config) {
    struct error e;
    set_log_level(config->log_level);
    switch (config->action) {
    case CONFIG_HELP:
        config_print_help(command, stdout);
        return finish_output();
    case CONFIG_PRINT:
        if (config_print(config, command, stdout, &e) != STATUS_OK)
            return command_fail(EXIT_CODE_FAILURE, &e);
        return EXIT_CODE_OK;
    case CONFIG_RUN:
        break;
    }
    engine_process_init();
    return commands[command](config);
}

static enum exit_code run_command(enum command command, char **flags, size_t flag_count) {
    /* Threads that a command may leave behind when it is stopped early still read it. */
    static struct config config;
    struct error e;
    enum status status = config_init(&config, &e);
    if (status == STATUS_OK) status = config_load(&config, command, flags, flag_count, environ, &e);
    if (status != STATUS_OK)
        return command_fail(status == STATUS_NO_MEMORY ? EXIT_CODE_FAILURE : EXIT_CODE_USAGE, &e);
    return act(command, &config);
}

int main(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "";
    enum command command = command_from_name(word);
    if (command != COMMAND_COUNT) return run_command(command, argv + 2, (size_t)argc - 2);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        config_print_usage(stdout);
        return finish_output();
    }
    if (strcmp(word, "--version") == 0) {
        puts("prenormd " PRENORM_VERSION);
        return finish_output();
    }
    if (*word) fprintf(stderr, "prenormd: '%s' is no command\n\n", word);
    config_print_usage(stderr);
    return EXIT_CODE_USAGE;
}
