/* Opening and reading files of a model folder. Regular files only: a symbolic link is followed (the Hugging
 * Face cache is made of them), a FIFO, device or folder in its place is refused without blocking on it. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

/* folder/name, or name alone where folder is NULL. STATUS_LIMIT if it does not fit. */
enum status regular_file_path(const char *folder, const char *name, char out[PATH_MAX], struct error *e);

/* Opens path for reading: *fd is the caller's to close, *size its length in bytes. STATUS_NOT_FOUND if there
 * is none. */
enum status regular_file_open(const char *path, int *fd, size_t *size, struct error *e);

/* Whether these are the first bytes of what a clone without Git LFS has in place of a big file; if so *e says it,
 * with what helps. */
bool regular_file_is_lfs_pointer(const void *bytes, size_t size, const char *path, struct error *e);

/* Reads all of path, at most bytes_max. A Git LFS pointer in its place is STATUS_MALFORMED. *bytes is NUL-terminated, the caller frees it. */
enum status regular_file_read(const char *path, size_t bytes_max, char **bytes, size_t *length,
                              struct error *e);
