/* JSON files with limits on size and depth; errors name file, line and column. */
#pragma once

#include <jansson.h>

#include "engine/base/error.h"

/* Loads folder/name (folder may be NULL: name is the path). Duplicate keys are refused. STATUS_NOT_FOUND when the file
 * does not exist. The caller owns *out (json_decref). */
enum status json_file_load(const char *folder, const char *name, size_t bytes_max, json_t **out, struct error *e);
