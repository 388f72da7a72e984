/* A text that an option of a command names. */
#pragma once

#include "engine/base/error.h"

/* The bytes of the file at path, NUL-terminated; the caller frees. The place in errors is the option's key.
 * STATUS_OPTION: it cannot be read, or has more than bytes_max bytes. */
enum status text_file_read(const char *path, const char *option, size_t bytes_max, char **text,
                           size_t *length, struct error *e);
