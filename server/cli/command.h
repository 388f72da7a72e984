/* The commands of prenormd and what they have in common. Each runs on the main thread, once in a process. */
#pragma once

#include "config/config.h"
#include "engine/base/error.h"

/* What scripts rely on. A signal that ends a command ends the process as that signal does. */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILURE = 1, /* at run time */
    EXIT_CODE_USAGE = 2,   /* the command line, the environment or the configuration file is wrong */
};

/* "prenormd: where: text" on stderr; returns code. */
enum exit_code command_fail(enum exit_code code, const struct error *e);

/* The end of a command that failed at run time. An option that somebody set and that cannot be had is a mistake
 * of the configuration: EXIT_CODE_USAGE, with who set it; starting again would not help. */
enum exit_code command_fail_run(const struct config *config, struct error *e);

/* Serves until it is told to stop. */
enum exit_code cmd_serve(const struct config *config);

/* Continues one prompt on standard output. */
enum exit_code cmd_generate(const struct config *config);

/* Compares every form of the model with the untouched one. */
enum exit_code cmd_verify(const struct config *config);

/* Writes the converted model in one file. */
enum exit_code cmd_convert(const struct config *config);

/* Says whether serve would start with this configuration, without loading the model. EXIT_CODE_OK: it would. */
enum exit_code cmd_check(const struct config *config);

/* Times the model, or random weights of a published shape. */
enum exit_code cmd_bench(const struct config *config);
