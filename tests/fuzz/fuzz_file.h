/* A folder of its own for the files of one input, in memory where the system has that. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FUZZ_FOLDER "/dev/shm/prenorm-fuzz-XXXXXX"

/* folder/name into path, which has room for 64 bytes. */
static inline void fuzz_write(const char *folder, const char *name, const void *bytes, size_t size,
                              char *path) {
    snprintf(path, 64, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) abort();
}
