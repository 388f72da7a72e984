/* What a text on the command line must match: --json-schema, --regex, --grammar. Its file is read before the model is loaded,
 * so that a mistyped name is told at once, and read once: it may be a pipe. */
#pragma once

#include "config/config.h"
#include "engine/api/engine.h"

struct constraint {
    const char *option; /* its key; NULL: nothing must be matched */
    struct grammar_source source;
    char *file; /* what source is, where it is a file's text */
};

/* STATUS_OPTION: more than one option is set, or a file cannot be read. */
enum status constraint_init(struct constraint *c, const struct config *config, struct error *e);
void constraint_deinit(struct constraint *c);

/* Compiles it; *out is NULL where nothing must be matched, else the caller's to release. STATUS_OPTION: it is not understood. */
enum status constraint_compile(const struct constraint *c, struct engine *engine, struct grammar **out,
                               struct error *e);
