/* What a text on the command line must match: --json-schema, --regex, --grammar. */
#pragma once

#include "config/config.h"
#include "engine/api/engine.h"

/* Whether any of the options is set. */
bool constraint_is_set(const struct config *config);

/* Compiles what the options say; *out is NULL where they say nothing, else the caller's to release. STATUS_OPTION: more
 * than one is set, a file cannot be read, or what it says is not understood. */
enum status constraint_get(const struct config *config, struct engine *engine, struct grammar **out,
                           struct error *e);
