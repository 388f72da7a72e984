/* Runs of the program as a child with conditions of its own: limits, closed descriptors, a stderr that nobody
 * reads. Everything here fails the test by itself when the child does not end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tests/support/test_support.h"

struct command {
    const char *words[24]; /* the program and its arguments, up to a NULL */
    size_t address_space;  /* RLIMIT_AS in bytes; 0: as it is */
    unsigned closed;       /* bit N: descriptor N is closed */
    int errors;            /* a descriptor to take as stderr; 0: a file, which ends up in error_text */
    const char *setting;   /* "NAME=value" for its environment, or NULL */

    pid_t pid;
    char *folder;
    int status;        /* of waitpid */
    char *output_text; /* its streams, once it has ended */
    char *error_text;
};

void command_start(struct command *c);

/* Waits until it has ended, at most for minutes, and reads its streams. */
void command_wait(struct command *c);

/* Both; returns the exit code, and fails where a signal ended it. */
int command_run(struct command *c);

/* What it has written to stderr so far, in static storage; waits until that has the text, or it has ended.
 * Whether the text is there. */
bool command_wait_for(struct command *c, const char *text);

void command_free(struct command *c);

/* Lines of stderr that are not log lines of level info or debug. */
size_t command_complaints(const struct command *c);
