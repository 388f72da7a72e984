/* How the commands open the engine: its options from the configuration, the default model, the progress bar. */
#pragma once

#include <limits.h>

#include "config/config.h"
#include "engine/api/engine.h"
#include "server/cli/progress.h"

struct engine_setup {
    struct engine_options options; /* borrows from the configuration and from this struct: do not move it */
    struct progress progress;
    char model[PATH_MAX];
};

/* Everything but `wake`. Without a model in the configuration: the one that is installed beside the program;
 * STATUS_NOT_FOUND, with what to do about it, when there is none. */
enum status engine_setup_init(struct engine_setup *s, const struct config *config, struct error *e);
