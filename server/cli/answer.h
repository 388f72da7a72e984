/* What generate says with --json: the answer that POST /v1/completions would give. */
#pragma once

#include "server/cli/generation.h"

/* Of the last prompt, in a line on standard output. model: the path that was opened. */
enum status answer_print(const struct generation *g, const struct config *config, const char *model,
                         struct error *e);
