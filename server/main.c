/* prenormd COMMAND [OPTION]...: configuration, log, then the command. Nothing below this file ends the
 * process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/base/thread.h"
#include "engine/api/engine.h"
#include "server/cli/command.h"
#include "version.h"

static enum exit_code (*const commands[COMMAND_COUNT])(const struct config *config) = {
    [COMMAND_SERVE] = cmd_serve,     [COMMAND_GENERATE] = cmd_generate, [COMMAND_VERIFY] = cmd_verify,
    [COMMAND_CONVERT] = cmd_convert, [COMMAND_BENCH] = cmd_bench,       [COMMAND_CHECK] = cmd_check,
};

static enum exit_code finish_output(void) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return EXIT_CODE_OK;
    log_say("prenormd: standard output: %s", strerror(errno));
    return EXIT_CODE_FAILURE;
}

/* Commands whose output is all that they are for say at once that it goes nowhere. */
static enum exit_code check_output(enum command command) {
    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    if (command == COMMAND_SERVE || command == COMMAND_CONVERT) return EXIT_CODE_OK;
    if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY) return EXIT_CODE_OK;
    log_say("prenormd: standard output: is not open for writing");
    return EXIT_CODE_FAILURE;
}

static enum exit_code check_stack(void) {
    struct error e;
    return thread_reserve_stack(&e) == STATUS_OK ? EXIT_CODE_OK : command_fail(EXIT_CODE_FAILURE, &e);
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
    enum exit_code code = check_output(command);
    if (code == EXIT_CODE_OK) code = check_stack();
    return code == EXIT_CODE_OK ? commands[command](config) : code;
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

/* What is opened next must not become standard input, output or error, or log lines would be written into it:
 * into a pipe of the event loop, for one. In the place of a closed one comes a descriptor that refuses to be
 * read, or written to, so that those who use it still learn that it is closed. */
static bool fill_standard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        int flags = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
        if (open("/dev/null", flags) < 0 && open("/", O_PATH) < 0) return false;
    }
    return true;
}

static enum exit_code no_such_command(const char *word) {
    if (*word == '-')
        log_say(
            "prenormd: '%s' is not a command, which stands before all options: prenormd serve --model DIR",
            word);
    else if (*word)
        log_say("prenormd: '%s' is not a command", word);
    config_print_usage(stderr);
    return EXIT_CODE_USAGE;
}

/* help COMMAND */
static enum exit_code print_help_of(const char *name) {
    enum command command = command_from_name(name);
    if (command == COMMAND_COUNT) return no_such_command(name);
    config_print_help(command, stdout);
    return finish_output();
}

static enum exit_code run(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "";
    enum command command = command_from_name(word);
    if (command != COMMAND_COUNT) return run_command(command, argv + 2, (size_t)argc - 2);
    if (strcmp(word, "help") == 0 && argc > 2) return print_help_of(argv[2]);
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        config_print_usage(stdout);
        return finish_output();
    }
    if (strcmp(word, "--version") == 0) {
        puts("prenormd " PRENORM_VERSION);
        return finish_output();
    }
    return no_such_command(word);
}

int main(int argc, char **argv) {
    if (!fill_standard_descriptors()) return EXIT_CODE_FAILURE;
    log_open();
    enum exit_code code = run(argc, argv);
    log_tell_dropped();
    if (!thread_any_abandoned()) return code;
    fflush(stdout);
    _exit(code);
}
