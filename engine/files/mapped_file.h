/* Files mapped for reading, and what happens when one is cut short meanwhile: a read beyond the new end
 * raises SIGBUS, which no check on the sizes can foresee. mapped_file_install_handler turns it into one line
 * and exit code 1. */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"

/* Mapped at the same time in one process: every shard of the largest published models a few times over. */
#define MAPPED_FILES_MAX 1024

struct mapped_file {
    const unsigned char *data; /* not NULL, also where size is 0 */
    size_t size;
    char *path;       /* for messages */
    const char *name; /* the last part of path */
    size_t slot;      /* of the registry that the handler looks in */
};

/* Maps folder/name read-only. Regular files only; STATUS_NOT_FOUND where there is none. After a failure m->path is NULL, or as it
 * was, and nothing is to be closed. */
enum status mapped_file_open(const char *folder, const char *name, struct mapped_file *m, struct error *e);
void mapped_file_close(struct mapped_file *m);

/* Gives the pages that lie wholly within [data, data + size) back; they are read from the file again when
 * touched. */
void mapped_file_release(const void *data, size_t size);

/* For main, once, before any thread starts. A SIGBUS from within a mapped file writes one line that names the
 * file to stderr and ends the process with code 1; from anywhere else it has its usual effect. */
void mapped_file_install_handler(void);
