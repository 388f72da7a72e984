/* The folder of a model with random weights, below $TMPDIR or /tmp. It is gone when the process ends, also by a signal that
 * somebody stops a program by; only SIGKILL and a crash leave it. */
#pragma once

#include <stdbool.h>

#include "engine/base/error.h"

struct scratch_folder {
    char path[256];
    bool made;
};

/* Makes the folder; from here to scratch_folder_remove SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGPIPE remove it, and end the process
 * as they would without. One at a time, on the main thread: no other has those signals (engine/base/thread.h). */
enum status scratch_folder_make(struct scratch_folder *s, struct error *e);

/* Removes it with what is in it. Nothing where it was not made. */
void scratch_folder_remove(struct scratch_folder *s);
