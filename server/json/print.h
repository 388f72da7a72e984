/* JSON on standard output, for the commands. */
#pragma once

#include <jansson.h>

#include "engine/base/error.h"

/* Writes a document and a line end, and takes its reference, whatever happens; NULL is one that there was no memory for.
 * flags: jansson's. STATUS_IO where it cannot be written. */
enum status json_print(json_t *root, size_t flags, struct error *e);
